// calor rollout: how a policy does in an environment, and how long it takes to decide.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "app/command.h"
#include "app/precision_argument.h"
#include "app/rollout_summary.h"
#include "app/sampling_argument.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/core/workers.h"
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
  PrecisionArgument precision;
  SaidFlags said;
  std::vector<std::string> sampling, control;  // "KEY=value", from the flags
  Machine machine;
};

void write_video(const RolloutArguments& a, const std::vector<policy::Episode>& episodes) {
  std::vector<at::Tensor> frames;
  for (const auto& episode : episodes) {
    frames.insert(frames.end(), episode.frames.begin(), episode.frames.end());
  }
  const auto environment = policy::make_environment(a.options.environment);
  report::write_gif(a.video, frames, environment->spec().control_hz);
}

template <class Declaring>
void set_all(Declaring& declaring, const std::vector<std::string>& settings) {
  config::Options declared;
  declaring.declare(declared);
  assign_all(declared, settings);
}

// Takes as many solver steps as fit the budget, measured where episodes run: on one thread.
void fit_to_budget(const Globals& globals, const std::shared_ptr<policy::Policy>& policy,
                   const policy::ControlOptions& control) {
  if (control.budget_ms == 0) return;
  Workers(1).run(1, [&](std::int64_t) {
    policy::Controller probe(policy, control);
    const policy::Budget budget = probe.fit_to_budget(control.budget_ms);
    policy->sampling = probe.sampling();
    say(globals, fmt::format("{} evaluations a decision fit {:.1f} ms: {:.1f} ms at most of 20",
                             budget.nfe, control.budget_ms, budget.worst_ms));
  });
}

std::vector<policy::Episode> play(const Globals& globals,
                                  const std::shared_ptr<policy::Policy>& policy,
                                  const policy::RolloutOptions& options) {
  const InterruptGuard guard;
  report::ProgressBar bar(options.episodes, 0, "episodes", globals.quiet);
  auto episodes =
      policy::roll_out(policy, options, [&](std::int64_t done) { bar.update(done, ""); });
  bar.finish();
  if (!episodes.empty()) return episodes;
  throw stopped_error("at least one episode", "before the first was over");
}

nlohmann::ordered_json run_rollout(const Globals& globals, RolloutArguments a) {
  const at::Device device = a.machine.apply();
  const auto policy = policy::Policy::load(a.run, device, a.precision.value());
  set_all(policy->sampling, a.sampling);
  check_said(a.said, *policy->flow, policy->sampling);
  set_all(a.options.control, a.control);
  if (a.options.control.warm_start != policy::WarmStart::plan) {
    a.said.refuse({"--warm-depth"}, "--warm-start plan", "another start");
  } else if (!policy->flow->is_chain() && policy->flow->stage(0).is_map()) {
    a.said.refuse({"--warm-start"}, "a flow that can begin on its way",
                  "a student of one map, which begins at noise");
  }
  if (a.options.environment.empty()) {
    a.options.environment = policy::environment_for(*policy, a.options.observation);
  }
  fit_to_budget(globals, policy, a.options.control);
  check_place("--video", a.video, {".gif"});
  if (!a.video.empty()) a.options.filmed = std::min<std::int64_t>(a.options.episodes, 5);
  if (a.options.workers == 0) {
    a.options.workers = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  const auto episodes = play(globals, policy, a.options);
  if (!a.video.empty()) write_video(a, episodes);

  const RolloutSummary summary = summarise(episodes, a.options.control.budget_ms);
  answer(globals, fmt::format("{}: {} episodes of {}, seeds from {}\n{}", a.run, episodes.size(),
                              a.options.environment, a.options.seed, summary.text()));
  if (!a.video.empty()) say(globals, "video: " + a.video);
  nlohmann::ordered_json object{{"environment", a.options.environment},
                                {"episodes", episodes.size()},
                                {"seed", a.options.seed}};
  object.update(summary.json());
  object["precision"] = policy->precision() == net::Precision::bf16 ? "bf16" : "fp32";
  object["outcome"] = interrupted() ? "interrupted" : "finished";
  object["video"] = a.video;
  object["each"] = list_episodes(episodes);
  return object;
}

void add_numbers(CLI::App& command, RolloutArguments& a) {
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
}

void add_settings(CLI::App& command, RolloutArguments& a) {
  static solve::GenerateOptions sampling;
  config::Options sampled;
  sampling.declare(sampled);
  for (const auto& [flag, key] : {std::pair{"--solver", "sample.solver"},
                                  {"--steps", "sample.steps"},
                                  {"--grid", "sample.grid"}}) {
    add_setting(command, a.sampling, flag, *sampled.find(key), "the model's");
  }
  static policy::ControlOptions control;
  config::Options controlled;
  control.declare(controlled);
  for (const auto& [flag, key] : {std::pair{"--warm-start", "control.warm_start"},
                                  {"--warm-depth", "control.warm_depth"},
                                  {"--budget", "control.budget_ms"}}) {
    const config::Option& option = *controlled.find(key);
    add_setting(command, a.control, flag, option, option.default_text);
  }
  a.precision.add_to(command, net::Precision::automatic);
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
  command.add_option("--environment", a.options.environment,
                     fmt::format("{} (default: the first that the policy fits)",
                                 fmt::join(policy::environment_names(), " or ")));
  command.add_option("--observation", a.options.observation,
                     "of the environment (default: the one of the policy's size)");
  add_numbers(command, a);
  add_settings(command, a);
  command.add_option("--video", a.video, "FILE.gif: the first five episodes");
  a.machine.add_with_products_to(command);
  a.said = SaidFlags(command);
  set_work(command, globals, [&globals, arguments] { return run_rollout(globals, *arguments); });
}

}  // namespace calor::app
