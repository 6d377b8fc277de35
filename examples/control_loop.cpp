// A policy in a control loop at a fixed rate with a time budget:
//
//     control_loop runs/lfm-two-ways [MILLISECONDS OF A DECISION]
//
// The robot here is the task with two ways; put your own sensors and motors in its place.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/policy/controller.h"
#include "calor/policy/make_environment.h"

int main(int argc, char** argv) try {
  using namespace calor::policy;
  if (argc < 2) throw calor::usage_error("a run folder", "nothing", "name one");
  const double budget_ms = argc > 2 ? std::strtod(argv[2], nullptr) : 50;
  calor::prepare_to_compute();
  const auto robot = make_environment("two-ways");
  const auto period = std::chrono::duration<double>(1.0 / robot->spec().control_hz);

  ControlOptions options;
  options.on_bad_observation = BadObservation::hold;
  const auto policy = Policy::load(argv[1], at::kCPU);
  if (policy->observation_size() != 2 || policy->action_size() != 2) {
    throw calor::Error("a policy for the task with two ways", argv[1], "train lfm-two-ways");
  }
  Controller controller(policy, options);
  const Budget fits = controller.fit_to_budget(budget_ms);
  std::printf("%ld evaluations a decision, at most %.1f ms\n", static_cast<long>(fits.nfe),
              fits.worst_ms);

  robot->reset(0);
  controller.reset(0);
  auto next = std::chrono::steady_clock::now();
  while (!robot->over()) {
    controller.observe(robot->observe("state"));
    const Action action = controller.act();
    if (action.status == ActionStatus::failed) {
      throw calor::Error("a plan", controller.error(), "see whether the policy is trained");
    }
    if (action.late) std::printf("step %ld: late\n", static_cast<long>(robot->steps()));
    if (!action.values.empty()) robot->step(action.values);
    next += std::chrono::duration_cast<std::chrono::steady_clock::duration>(period);
    std::this_thread::sleep_until(next);
  }
  std::printf("%s after %ld steps\n", robot->success() ? "there" : "not there",
              static_cast<long>(robot->steps()));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
