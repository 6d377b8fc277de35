// calor rollout: how a policy does in an environment, and how long it takes to decide.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <thread>

#include "app/command.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/metric/estimate.h"
#include "calor/policy/environment.h"
#include "calor/policy/make_environment.h"
#include "calor/policy/rollout.h"
#include "calor/report/gif.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

struct RolloutArguments {
  std::string run, video;
  policy::RolloutOptions options;
  std::string solver, steps, grid, warm_start, warm_depth, budget;
  Machine machine;
};

// Milliseconds of the decisions, sorted.
struct Latency {
  double median = 0, p99 = 0, most = 0;
};

Latency latency_of(const std::vector<policy::Episode>& episodes) {
  std::vector<double> times;
  for (const auto& episode : episodes) {
    for (const auto& decision : episode.decisions) times.push_back(1e3 * decision.seconds);
  }
  if (times.empty()) return {};
  std::ranges::sort(times);
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  return {.median = at(0.5), .p99 = at(0.99), .most = times.back()};
}

double mean_nfe(const std::vector<policy::Episode>& episodes) {
  double sum = 0, count = 0;
  for (const auto& episode : episodes) {
    for (const auto& decision : episode.decisions) sum += static_cast<double>(decision.nfe);
    count += static_cast<double>(episode.decisions.size());
  }
  return count > 0 ? sum / count : 0;
}

metric::Estimate mean_best(const std::vector<policy::Episode>& episodes) {
  std::vector<double> best;
  for (const auto& episode : episodes) best.push_back(episode.best_reward);
  if (best.size() == 1) return {.mean = best.front(), .standard_error = NAN, .count = 1};
  return metric::mean_and_standard_error(at::tensor(best, at::kDouble));
}

void write_video(const RolloutArguments& a, const std::vector<policy::Episode>& episodes) {
  std::vector<at::Tensor> frames;
  for (const auto& episode : episodes) {
    frames.insert(frames.end(), episode.frames.begin(), episode.frames.end());
  }
  const auto environment = policy::make_environment(a.options.environment);
  report::write_gif(a.video, frames, environment->spec().control_hz);
}

nlohmann::ordered_json list_episodes(const std::vector<policy::Episode>& episodes) {
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& episode : episodes) {
    list.push_back({{"seed", episode.seed},
                    {"best_reward", episode.best_reward},
                    {"success", episode.success},
                    {"steps", episode.steps},
                    {"way", episode.way},
                    {"decisions", episode.decisions.size()},
                    {"error", episode.error}});
  }
  return list;
}

// How often each of several ways was taken.
std::map<std::string, std::int64_t> count_ways(const std::vector<policy::Episode>& episodes) {
  std::map<std::string, std::int64_t> ways;
  for (const auto& episode : episodes) {
    if (!episode.way.empty()) ++ways[episode.way];
  }
  return ways;
}

std::int64_t count_late(const std::vector<policy::Episode>& episodes, double budget_ms) {
  std::int64_t late = 0;
  for (const auto& episode : episodes) {
    late += std::ranges::count_if(episode.decisions, [&](const policy::Decision& decision) {
      return budget_ms > 0 && 1e3 * decision.seconds > budget_ms;
    });
  }
  return late;
}

// The options of the controller, from those that were given.
void set_control(RolloutArguments& a) {
  config::Options declared;
  a.options.control.declare(declared);
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) declared.assign(fmt::format("control.{}={}", key, value), "command line");
  };
  set("warm_start", a.warm_start);
  set("warm_depth", a.warm_depth);
  set("budget_ms", a.budget);
}

// Takes as many solver steps as fit the budget.
void fit_to_budget(const Globals& globals, const std::shared_ptr<policy::Policy>& policy,
                   const policy::ControlOptions& control) {
  if (control.budget_ms == 0) return;
  policy::Controller probe(policy, control);
  const policy::Budget budget = probe.fit_to_budget(control.budget_ms);
  policy->sampling = probe.sampling();
  say(globals, fmt::format("{} evaluations a decision fit {:.1f} ms: {:.1f} ms at most of 20",
                           budget.nfe, control.budget_ms, budget.worst_ms));
}

std::string text_of_ways(const std::map<std::string, std::int64_t>& ways) {
  std::string text;
  for (const auto& [way, count] : ways) {
    text += fmt::format("{}{} {}", text.empty() ? "\nways               " : ", ", way, count);
  }
  return text;
}

nlohmann::ordered_json run_rollout(const Globals& globals, RolloutArguments a) {
  const at::Device device = a.machine.apply();
  const auto policy = policy::Policy::load(a.run, device);
  config::Options declared;
  policy->sampling.declare(declared);
  if (!a.solver.empty()) declared.assign("sample.solver=" + a.solver, "command line");
  if (!a.steps.empty()) declared.assign("sample.steps=" + a.steps, "command line");
  if (!a.grid.empty()) declared.assign("sample.grid=" + a.grid, "command line");
  set_control(a);
  fit_to_budget(globals, policy, a.options.control);
  if (!a.video.empty()) a.options.filmed = std::min<std::int64_t>(a.options.episodes, 5);
  if (a.options.workers == 0) {
    a.options.workers = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  const InterruptGuard guard;
  report::ProgressBar bar(a.options.episodes, 0, "episodes", globals.quiet);
  const auto episodes =
      policy::roll_out(policy, a.options, [&](std::int64_t done) { bar.update(done, ""); });
  bar.finish();
  if (episodes.empty()) {
    throw Error("at least one episode", "stopped by a signal before the first was over",
                "start it again");
  }
  if (!a.video.empty()) write_video(a, episodes);

  const auto successes = std::ranges::count_if(episodes, &policy::Episode::success);
  const auto share = policy::success_share(successes, static_cast<std::int64_t>(episodes.size()));
  const metric::Estimate best = mean_best(episodes);
  const Latency latency = latency_of(episodes);
  const auto ways = count_ways(episodes);
  const double budget = a.options.control.budget_ms;
  const std::int64_t late = count_late(episodes, budget);
  answer(globals,
         fmt::format("{}: {} episodes of {}, seeds from {}\n"
                     "mean best reward   {:.3f}{}\n"
                     "success            {:.1f} % ({:.1f} to {:.1f} %)\n"
                     "evaluations        {:.1f} a decision\n"
                     "time per decision  median {:.1f} ms, p99 {:.1f} ms, longest {:.1f} ms{}{}",
                     a.run, episodes.size(), a.options.environment, a.options.seed, best.mean,
                     best.count > 1 ? fmt::format(" +- {:.3f}", best.standard_error) : "",
                     100 * share.value, 100 * share.low, 100 * share.high, mean_nfe(episodes),
                     latency.median, latency.p99, latency.most,
                     budget > 0 ? fmt::format(", {} later than {:.1f} ms", late, budget) : "",
                     text_of_ways(ways)));
  if (!a.video.empty()) say(globals, "video: " + a.video);
  return {{"environment", a.options.environment},
          {"episodes", episodes.size()},
          {"seed", a.options.seed},
          {"mean_best_reward", {{"mean", best.mean}, {"standard_error", best.standard_error}}},
          {"success", {{"share", share.value}, {"low", share.low}, {"high", share.high}}},
          {"nfe", mean_nfe(episodes)},
          {"milliseconds_per_decision",
           {{"median", latency.median}, {"p99", latency.p99}, {"longest", latency.most}}},
          {"budget_ms", budget},
          {"late", late},
          {"ways", ways},
          {"interrupted", interrupted()},
          {"video", a.video},
          {"each", list_episodes(episodes)}};
}

}  // namespace

void add_rollout(CLI::App& program, Globals& globals) {
  const auto arguments = std::make_shared<RolloutArguments>();
  RolloutArguments& a = *arguments;
  CLI::App& command = add_command(
      program, globals, "rollout", "How a policy does in an environment.",
      "  calor rollout runs/lfm-pusht-small\n"
      "  calor rollout runs/lfm-pusht-small --episodes 50 --workers 2 --video push.gif\n"
      "  calor rollout model.safetensors --solver euler --steps 3 --json");
  command.add_option("run", a.run, "run folder or model.safetensors")->required();
  command.add_option("--environment", a.options.environment, "pusht or two-ways")
      ->capture_default_str();
  command.add_option("--observation", a.options.observation,
                     "of the environment (default: the one of the policy's size)");
  command.add_option("--episodes", a.options.episodes, "how many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_option("--seed", a.options.seed, "of the first episode; the others follow")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{4'000'000'000}))
      ->capture_default_str();
  command.add_option("--max-steps", a.options.max_steps, "of an episode; 0: the environment's")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command
      .add_option("--workers", a.options.workers,
                  "episodes at a time, one thread each; 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_option("--solver", a.solver, "as for calor sample (default: the model's)");
  command.add_option("--steps", a.steps, "solver steps (default: the model's)");
  command.add_option("--grid", a.grid, "auto, uniform, log-snr or leading (default: the model's)");
  command.add_option("--warm-start", a.warm_start,
                     "none, noise or plan: what a decision keeps of the one before it");
  command.add_option("--warm-depth", a.warm_depth,
                     "plan: the share of the way to noise that the plan is taken back, to 0.5");
  command.add_option("--budget", a.budget,
                     "ms that a decision may take: as many solver steps as fit");
  command.add_option("--video", a.video, "FILE.gif: the first five episodes");
  a.machine.add_to(command);
  set_work(command, globals, [&globals, arguments] { return run_rollout(globals, *arguments); });
}

}  // namespace calor::app
