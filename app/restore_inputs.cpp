#include "app/restore_inputs.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "app/pictures_argument.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/dequantise.h"
#include "calor/io/picture.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_for_spectrum = 2000;

// Bytes as the numbers that a model means by them: the middle of their level.
at::Tensor to_numbers(const at::Tensor& bytes, const data::ItemSpec& items) {
  const data::LevelCells cells = data::level_cells(items);
  return (bytes.to(at::kFloat) + 0.5) * cells.scale + cells.shift;
}

// The files that were named and the pictures of the folders that were named, in order of names.
std::vector<fs::path> files_of(const std::vector<std::string>& named) {
  std::vector<fs::path> files;
  for (const std::string& name : named) {
    std::error_code error;
    if (!fs::is_directory(name, error)) {
      files.emplace_back(name);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(name, error)) {
      if (io::is_picture_name(entry.path())) inside.push_back(entry.path());
    }
    if (error || inside.empty()) {
      throw Error("a folder of PNG or JPEG pictures",
                  fmt::format("{}: {}", name, error ? error.message() : "no picture"),
                  "name the pictures themselves");
    }
    std::ranges::sort(inside);
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

// uint8 [n, C, height, width].
at::Tensor read_all(const std::vector<fs::path>& files, const data::ItemSpec& items,
                    std::int64_t height, std::int64_t width, const std::string& what,
                    const std::string& hint) {
  std::vector<at::Tensor> pictures;
  for (const fs::path& file : files) {
    pictures.push_back(io::read_picture(file, static_cast<int>(items.channels)));
    const at::Tensor& p = pictures.back();
    if (p.size(1) == height && p.size(2) == width) continue;
    throw Error(fmt::format("{} of {} x {} pixels", what, height, width),
                fmt::format("{}: {} x {}", file.string(), p.size(1), p.size(2)), hint);
  }
  return at::stack(pictures);
}

void check_shape(const data::ItemSpec& found, const data::ItemSpec& items,
                 const std::string& source) {
  if (found.shape_text() == items.shape_text()) return;
  throw Error(fmt::format("pictures of {}, as the model's", items.shape_text()),
              fmt::format("{}: {}", source, found.shape_text()), "name another set");
}

// Clean pictures of a set, and others of it as the reference: both drawn by the seed.
void draw_from_set(const RestoreArguments& a, const RunModel& model, RestoreInputs& inputs) {
  const std::string source = a.pictures.empty() ? "" : a.pictures.front();
  const Pictures drawn = open_pictures(model, source, "test", a.count, a.seed, false);
  const data::ItemSpec& items = model.flow->items();
  check_shape(drawn.set->spec(), items, drawn.source);
  inputs.truth = to_numbers(pictures_at(*drawn.set, drawn.items), items);
  inputs.source = drawn.source;
  inputs.split = drawn.split;
  std::vector<std::int64_t> others;
  for (const std::int64_t i :
       open_pictures(model, source, "test", a.count + a.reference, a.seed, false).items) {
    if (!std::ranges::binary_search(drawn.items, i)) others.push_back(i);
  }
  if (others.size() > 1) inputs.reference = pictures_at(*drawn.set, others);
}

// Nothing where the set is not there or is no longer what the model was trained on.
std::optional<PriorPictures> training_pictures(const RestoreArguments& a, const RunModel& model,
                                               std::int64_t label) {
  const data::ItemSpec& items = model.flow->items();
  const bool labelled = label < items.classes();
  try {
    const std::int64_t drawn = labelled ? most_for_spectrum * items.classes() : most_for_spectrum;
    const Pictures set = open_pictures(model, "", "train", drawn, a.seed, labelled);
    check_shape(set.set->spec(), items, set.source);
    std::vector<std::int64_t> own;
    for (const std::int64_t i : set.items) {
      if (!labelled || set.set->label(i) == label) own.push_back(i);
    }
    if (own.size() < 2) return std::nullopt;
    return PriorPictures{.pictures = to_numbers(pictures_at(*set.set, own), items),
                         .source = set.source};
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

at::Tensor read_mask(const std::string& file) {
  if (file.empty()) return {};
  constexpr int half = 128;
  return io::read_picture(file, 1)[0].ge(half);
}

RestoreInputs restore_inputs(const RestoreArguments& a, const RunModel& model,
                             const restore::Measurement& measurement) {
  const data::ItemSpec& items = model.flow->items();
  RestoreInputs inputs;
  if (!a.simulate) {
    const at::Tensor& support = measurement.support();
    inputs.measured = to_numbers(
        read_all(files_of(a.pictures), items, support.size(0), support.size(1),
                 "a measured picture",
                 "the model's pictures have another size than yours, or this one is clean: "
                 "--simulate measures it first"),
        items);
    inputs.source = a.pictures.front();
    inputs.split = "given";
    return inputs;
  }
  if (a.draws_from_set()) {
    draw_from_set(a, model, inputs);
  } else {
    inputs.truth = to_numbers(read_all(files_of(a.pictures), items, items.height, items.width,
                                       "a clean picture", "scale it to the model's size"),
                              items);
    inputs.source = a.pictures.front();
    inputs.split = "given";
  }
  const auto keys = random_key(static_cast<std::uint64_t>(a.seed), RandomUse::measurement_noise)
                        .children(0, inputs.truth.size(0));
  const at::Device device = measurement.support().device();
  inputs.measured = measurement.simulate(inputs.truth.to(device), keys).cpu();
  return inputs;
}

PriorPictures prior_pictures(const RestoreArguments& a, const RunModel& model, std::int64_t label,
                             const solve::GenerateOptions& options) {
  if (auto real = training_pictures(a, model, label)) return *real;
  const std::int64_t count = a.calibration > 0 ? a.calibration : 64;
  const flow::Given given{.labels = at::full({count}, label, at::kLong), .condition = {}};
  const auto made = solve::generate(
      *model.flow, solve::start_from(*model.flow, solve::sampling_keys(a.seed, 0, count)), given,
      options);
  if (made.items.size(0) < 2) {
    throw stopped_error("samples of the model, to know its spectrum");
  }
  return {.pictures = made.items, .source = "samples of the model"};
}

}  // namespace calor::app
