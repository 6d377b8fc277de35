#include "app/experiment_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "app/child_processes.h"
#include "app/train_request.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

constexpr int trial_steps = 30;

// The settings of a training's words, without what changes no speed.
std::vector<std::string> kind_of(const std::vector<std::string>& words) {
  std::vector<std::string> kind;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--run") {
      ++i;
    } else if (!words[i].starts_with("train.steps=") && !words[i].starts_with("train.seed=")) {
      kind.push_back(words[i]);
    }
  }
  return kind;
}

train::RunConfig config_of(const std::vector<std::string>& words) {
  std::vector<std::string> settings;
  for (std::size_t i = 2; i < words.size() && !words[i].starts_with("--"); ++i) {
    settings.push_back(words[i]);
  }
  return read_train_request(words.at(1), settings, "").config;
}

// Items a second of a training, by a trial of it in a folder of its own.
double items_per_second(const Globals& globals, const std::vector<std::string>& kind, bool chain,
                        const fs::path& folder, const std::string& device, int threads) {
  fs::remove_all(folder);
  io::make_folder(folder);
  ChildProcess child{
      .id = 0, .arguments = kind, .output = folder / "answer.json", .log = folder / "log"};
  child.arguments.insert(
      child.arguments.end(),
      {fmt::format("train.steps={}", trial_steps), "--run", (folder / "run").string(), "--json",
       "--device", device, "--threads", std::to_string(threads)});
  // The first stage alone: a trial must not carry the whole set through it.
  if (chain)
    child.arguments.insert(child.arguments.end(), {"stages.particles=exact", "--stage", "1"});
  say(globals, fmt::format("trying: calor {}", fmt::join(kind, " ")));
  bool begun = false;
  int status = 1;
  run_children(
      1,
      [&]() -> std::optional<ChildProcess> {
        if (begun) return {};
        begun = true;
        return child;
      },
      [&](std::size_t /*id*/, int ended) { status = ended; });
  if (interrupted())
    throw Error("trials of each training", "stopped by a signal", "start it again");
  const auto answer = nlohmann::json::parse(io::read_text(child.output), nullptr, false);
  for (const char* key : {"images_per_second", "rows_per_second"}) {
    if (status == 0 && answer.is_object() && answer.contains(key)) return answer[key];
  }
  throw Error("a training that runs for a few steps",
              fmt::format("calor {}: exit status {}", fmt::join(kind, " "), status),
              "its messages are in " + child.log.string());
}

}  // namespace

double scale_for_budget(const Globals& globals, const experiment::Plan& plan,
                        const std::filesystem::path& folder, double seconds,
                        const std::string& device, int threads, std::int64_t at_once) {
  std::map<std::vector<std::string>, double> rates;
  double total = 0;
  for (const auto& job : plan.jobs) {
    if (job.words.front() != "train") continue;
    const auto config = config_of(job.words);
    const auto kind = kind_of(job.words);
    const bool chain = config.model.stages.is_chain();
    if (!rates.contains(kind)) {
      rates[kind] = items_per_second(globals, kind, chain, folder / "trials", device, threads);
    }
    const auto stages =
        chain ? static_cast<double>(flow::stage_steps(config.model.stages).size()) : 1.0;
    total += stages * static_cast<double>(config.train.steps * config.train.batch) / rates[kind];
  }
  fs::remove_all(folder / "trials");
  if (total == 0) return 1;
  const double scale = seconds * static_cast<double>(at_once) / total;
  say(globals, fmt::format("all trainings at their own length: about {}; every number of steps is "
                           "multiplied by {:.3g}",
                           report::duration_text(total / static_cast<double>(at_once)), scale));
  return scale;
}

}  // namespace calor::app
