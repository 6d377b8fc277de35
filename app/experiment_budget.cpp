#include "app/experiment_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "app/child_processes.h"
#include "app/experiment_trainings.h"
#include "calor/core/command_line.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/experiment/budget.h"
#include "calor/io/atomic_file.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

constexpr int shortest_trial = 10, longest_trial = 10'240;
// The longer of two trials takes this much more time than the shorter, so that their difference is
// the steps', and not the scatter of two starts.
constexpr double seconds_more = 3;

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

// A kind of training, and how it is tried: as many at once as are going to be.
struct Trials {
  const Globals& globals;
  std::vector<std::string> kind;
  bool chain;
  fs::path folder;  // of their own
  std::string device;
  int threads;  // 0: as many as the command itself takes
  std::int64_t at_once;

  ChildProcess child(std::size_t id, int steps) const {
    const fs::path place = folder / std::to_string(id);
    fs::remove_all(place);
    io::make_folder(place);
    ChildProcess child{
        .id = id, .arguments = kind, .output = place / "answer.json", .log = place / "log"};
    child.arguments.insert(child.arguments.end(),
                           {fmt::format("train.steps={}", steps), "--run", (place / "run").string(),
                            "--json", "--device", device});
    if (threads > 0)
      child.arguments.insert(child.arguments.end(), {"--threads", std::to_string(threads)});
    // The first stage alone: a trial must not carry the whole set through it.
    if (chain)
      child.arguments.insert(child.arguments.end(), {"stages.particles=exact", "--stage", "1"});
    return child;
  }

  experiment::Trial of(int steps) const {
    const auto begun = std::chrono::steady_clock::now();
    std::size_t started = 0;
    std::optional<std::pair<std::size_t, int>> failed;
    run_children(
        at_once,
        [&]() -> std::optional<ChildProcess> {
          if (failed || started == static_cast<std::size_t>(at_once)) return {};
          return child(started++, steps);
        },
        [&](std::size_t id, int status) {
          if (status != 0 && !failed) failed = {id, status};
        });
    stop_if_interrupted("trials of each training");
    if (failed) {
      throw Error(
          "a training that runs for a few steps",
          fmt::format("{}: exit status {}", command_line(kind), failed->second),
          "its messages are in " + (folder / std::to_string(failed->first) / "log").string());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    return {.steps = steps, .seconds = took.count()};
  }
};

experiment::Cost tried(const Trials& trials) {
  say(trials.globals, "trying: " + command_line(trials.kind));
  // The first start of all may have to fetch and prepare what later ones find.
  trials.of(shortest_trial);
  const auto shorter = trials.of(shortest_trial);
  auto longer = shorter;
  for (int steps = 4 * shortest_trial; steps <= longest_trial; steps *= 4) {
    longer = trials.of(steps);
    if (longer.seconds - shorter.seconds >= seconds_more) break;
  }
  return experiment::cost_of(shorter, longer);
}

}  // namespace

double scale_for_budget(const Globals& globals, const experiment::Plan& plan,
                        const std::filesystem::path& folder, double seconds,
                        const std::string& device, int threads, std::int64_t at_once) {
  std::map<std::vector<std::string>, experiment::Cost> costs;
  std::vector<experiment::Training> trainings;
  const auto together =
      std::min<std::int64_t>(at_once, std::ranges::count_if(plan.jobs, is_training));
  for (const auto& job : plan.jobs) {
    if (!is_training(job)) continue;
    const TrainingLength length = training_length(job);
    const auto kind = kind_of(job.words);
    if (!costs.contains(kind)) {
      costs[kind] = tried({.globals = globals,
                           .kind = kind,
                           .chain = length.chain,
                           .folder = folder / "trials",
                           .device = device,
                           .threads = threads,
                           .at_once = together});
    }
    trainings.push_back({.cost = costs[kind], .steps = length.steps});
  }
  fs::remove_all(folder / "trials");
  if (trainings.empty()) return 1;
  const double scale = experiment::scale_for_budget(trainings, seconds, at_once);
  const double own = experiment::seconds_of(trainings, 1) / static_cast<double>(together);
  say(globals, fmt::format("all trainings at their own length: about {}; every number of steps is "
                           "multiplied by {:.3g}",
                           report::duration_text(own), scale));
  return scale;
}

}  // namespace calor::app
