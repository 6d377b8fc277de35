#include "calor/train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "calor/core/error.h"
#include "calor/core/out_of_memory.h"
#include "calor/io/atomic_file.h"
#include "calor/io/safetensors.h"

namespace calor::train {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* manifest_name = "manifest.json";
constexpr const char* weights_name = "weights.safetensors";
constexpr const char* averages_name = "averages.safetensors";
constexpr const char* best_name = "best.safetensors";
constexpr const char* optimiser_name = "optimiser.safetensors";
constexpr std::string_view aside_ending = ".damaged";

fs::path folder_of(const fs::path& run) { return run / "checkpoints"; }

// All as long, so that their order is that of the steps.
std::string name_of(std::int64_t step) { return fmt::format("{:010}", step); }

bool is_checkpoint_name(std::string_view name) {
  return name.size() == 10 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whether something is a checkpoint that was set aside and that a run at this step has not come up
// to.
bool is_aside_after(std::int64_t step, std::string_view name) {
  if (!name.ends_with(aside_ending)) return false;
  name.remove_suffix(aside_ending.size());
  return is_checkpoint_name(name) && name > name_of(step);
}

// Finished checkpoints, oldest first.
std::vector<fs::path> list_checkpoints(const fs::path& run) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_of(run), ignored)) {
    if (is_checkpoint_name(entry.path().filename().string())) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

void remove_old(const fs::path& run, std::int64_t step, std::int64_t keep) {
  std::error_code ignored;
  auto finished = list_checkpoints(run);
  while (static_cast<std::int64_t>(finished.size()) > keep) {
    fs::remove_all(finished.front(), ignored);
    finished.erase(finished.begin());
  }
  for (const auto& entry : fs::directory_iterator(folder_of(run), ignored)) {
    const std::string name = entry.path().filename().string();
    if (is_checkpoint_name(name) || is_aside_after(step, name)) continue;
    fs::remove_all(entry.path(), ignored);
  }
}

void write_tensors(const fs::path& folder, const char* name, const io::TensorFile& content,
                   json& files) {
  files[name] = io::write_safetensors(folder / name, content);
}

at::Tensor vector_of(const io::TensorFile& file, const char* name, const fs::path& folder) {
  const at::Tensor& tensor = file.at(name);
  if (tensor.dim() == 1 && tensor.scalar_type() == at::kFloat) return tensor;
  throw Error(fmt::format("'{}' as one vector of fp32", name), (folder / name).string(),
              "remove this checkpoint's folder to go on from an older one");
}

void write_checkpoint(const fs::path& folder, const Checkpoint& c) {
  json files;
  write_tensors(folder, weights_name, {.tensors = {{"weights", c.weights}}, .metadata = {}}, files);
  write_tensors(folder, averages_name,
                {.tensors = {{"ema", c.optimiser.ema}, {"ema2", c.optimiser.ema2}}, .metadata = {}},
                files);
  write_tensors(folder, optimiser_name,
                {.tensors = {{"first_moment", c.optimiser.first_moment},
                             {"second_moment", c.optimiser.second_moment}},
                 .metadata = {}},
                files);
  if (c.best.weights.defined()) {
    write_tensors(folder, best_name, {.tensors = {{"best", c.best.weights}}, .metadata = {}},
                  files);
  }
  json manifest{{"step", c.progress.step},
                {"bad_steps", c.progress.bad_steps},
                {"bad_in_a_row", c.progress.bad_in_a_row},
                {"updates", c.optimiser.updates},
                {"data", c.data_fingerprint},
                {"files", files}};
  if (c.best.weights.defined()) {
    manifest["best"] = {{"loss", c.best.loss}, {"step", c.best.step}};
  }
  io::write_file_atomically(folder / manifest_name, manifest.dump(2) + "\n");
}

Checkpoint read_checkpoint(const fs::path& folder) {
  const json manifest = json::parse(io::read_text(folder / manifest_name), nullptr, false);
  if (!manifest.is_object() || !manifest.contains("files")) {
    throw Error("the manifest of a checkpoint", (folder / manifest_name).string() + ": damaged",
                "remove that folder: the same command goes on from the one before");
  }
  for (const auto& [name, expected] : manifest.at("files").items()) {
    const std::string found = io::checksum_of_file(folder / name);
    if (found == expected.get<std::string>()) continue;
    throw Error(fmt::format("checksum {}", expected.get<std::string>()),
                fmt::format("{}: {}", (folder / name).string(), found), "the file is damaged");
  }
  Checkpoint c;
  c.progress = {.step = manifest.at("step").get<std::int64_t>(),
                .bad_steps = manifest.at("bad_steps").get<std::int64_t>(),
                .bad_in_a_row = manifest.at("bad_in_a_row").get<std::int64_t>()};
  c.data_fingerprint = manifest.at("data").get<std::string>();
  c.optimiser.updates = manifest.at("updates").get<std::int64_t>();
  c.weights = vector_of(io::read_safetensors(folder / weights_name), "weights", folder);
  const io::TensorFile averages = io::read_safetensors(folder / averages_name);
  c.optimiser.ema = vector_of(averages, "ema", folder);
  c.optimiser.ema2 = vector_of(averages, "ema2", folder);
  const io::TensorFile moments = io::read_safetensors(folder / optimiser_name);
  c.optimiser.first_moment = vector_of(moments, "first_moment", folder);
  c.optimiser.second_moment = vector_of(moments, "second_moment", folder);
  if (manifest.contains("best")) {
    c.best = {.loss = manifest["best"].at("loss").get<double>(),
              .step = manifest["best"].at("step").get<std::int64_t>(),
              .weights = vector_of(io::read_safetensors(folder / best_name), "best", folder)};
  }
  return c;
}

// Whether every file of a folder can be read to its end: what cannot is not known to be damaged.
bool can_be_read(const fs::path& folder) {
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(folder, unreadable)) {
    std::error_code ignored;
    if (!entry.is_regular_file(ignored)) continue;
    try {
      io::checksum_of_file(entry.path());
    } catch (const Error&) {
      return false;
    }
  }
  return !unreadable;
}

}  // namespace

void save_checkpoint(const fs::path& run, const Checkpoint& c, std::int64_t keep) {
  const std::string name = name_of(c.progress.step);
  const fs::path final_folder = folder_of(run) / name;
  std::error_code ignored;
  if (fs::exists(final_folder / manifest_name, ignored)) return;  // nothing new since
  io::make_folder(folder_of(run));
  const fs::path folder = folder_of(run) / (name + ".tmp");
  fs::remove_all(folder, ignored);
  fs::remove_all(final_folder, ignored);
  io::make_folder(folder);
  try {
    write_checkpoint(folder, c);
  } catch (...) {
    fs::remove_all(folder, ignored);  // a full disk is not helped by half a checkpoint
    throw;
  }
  io::commit_folder(folder, final_folder);
  remove_old(run, c.progress.step, keep);
}

void set_aside_after(const fs::path& run, std::int64_t step) {
  for (const fs::path& folder : list_checkpoints(run)) {
    if (folder.filename().string() <= name_of(step)) continue;
    fs::path aside = folder;
    aside += aside_ending;
    std::error_code ignored;
    fs::remove_all(aside, ignored);
    io::commit_folder(folder, aside);
  }
}

std::optional<Checkpoint> load_newest_checkpoint(const fs::path& run, std::string& warnings) {
  auto folders = list_checkpoints(run);
  if (folders.empty()) return std::nullopt;
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    try {
      return read_checkpoint(*folder);
    } catch (const std::exception& error) {
      if (is_out_of_memory(error) || !can_be_read(*folder)) throw;
      warnings += fmt::format("checkpoint {} is damaged and passed over:\n{}\n", folder->string(),
                              error.what());
    }
  }
  throw Error("a whole checkpoint", fmt::format("{}: {}", folder_of(run).string(), warnings),
              "restore the run folder, or begin again in another one");
}

bool steps_left(const std::filesystem::path& run, std::int64_t steps) {
  std::string warnings;
  const auto newest = load_newest_checkpoint(run, warnings);
  return !newest || newest->progress.step < steps;
}

}  // namespace calor::train
