// A trained policy in a control loop: observations in, actions out, by receding horizon. A decision
// plans a chunk of actions; its first `execute` are carried out, then the policy is asked again.
//
//     auto controller = Controller::load("runs/lfm-pusht-small");
//     controller.reset(seed);
//     for (;;) {
//       controller.observe(sensors());
//       const Action action = controller.act();
//       if (action.status == ActionStatus::decided) drive(action.values);
//     }
//
// Nothing in observe() and act() throws: what went wrong is in the status.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "calor/data/demonstrations.h"
#include "calor/flow/flow.h"
#include "calor/policy/control_options.h"
#include "calor/solve/generate.h"

namespace calor::policy {

enum class ActionStatus {
  decided,          // an action of the plan
  not_observed,     // nothing was observed since reset(): no action
  bad_observation,  // the last observation had another size, a number that is not finite, or a
                    // picture of another shape or none where one is observed
  failed,           // the sampler could not make a plan: see Controller::error()
  stopped,          // after a bad observation or a failure, with BadObservation::stop
};

// Where the status is not `decided`, `values` is the last action that was (empty where none was),
// to be held; with BadObservation::stop it is empty.
struct Action {
  ActionStatus status = ActionStatus::not_observed;
  std::span<const double> values;  // valid until the next call of act() or reset()
  bool late = false;               // this call's decision took longer than the budget
};

struct Decision {
  std::int64_t nfe = 0;
  double seconds = 0;
};

// What fits into a time: solver steps, evaluations, and the slowest of the decisions measured.
struct Budget {
  std::int64_t steps = 0, nfe = 0;
  double worst_ms = 0;
};

// A policy's network and settings; several controllers, on several threads, may share it.
struct Policy {
  std::unique_ptr<flow::Flow> flow;
  data::PolicyCodec codec;
  solve::GenerateOptions sampling;  // as the model has it; change it before use

  // From a run folder or a model file, to decide with products in this precision; automatic: bf16
  // where the machine has it, so that machines may plan a little differently. Error where it is
  // none, or no policy.
  static std::shared_ptr<Policy> load(const std::filesystem::path& run, at::Device device,
                                      net::Precision precision = net::Precision::automatic);
  net::Precision precision() const { return flow->stage(0).network().precision(); }

  std::int64_t action_size() const { return codec.actions.width(); }
  std::int64_t observation_size() const { return codec.observations.width(); }
  // The picture that is observed in each step; count 0: none.
  const data::ObservedShape& pictures() const { return flow->items().observed; }
};

class Controller {
 public:
  // Error where the policy's description does not fit its network.
  explicit Controller(std::shared_ptr<const Policy> policy, const ControlOptions& options = {});
  ~Controller() = default;
  Controller(Controller&&) = default;
  Controller& operator=(Controller&&) = default;
  Controller(const Controller&) = delete;  // it would see what the other observes
  Controller& operator=(const Controller&) = delete;
  static Controller load(const std::filesystem::path& run, at::Device device = at::kCPU);

  // Forgets what was observed. The noise of decision k of an episode is a function of (seed, k).
  void reset(std::uint64_t seed);

  // Looks for the most solver steps, of the model's number at most, with which the slowest of
  // `trials` decisions takes no longer than this; the controller then takes that many, and the time
  // becomes its budget. Decisions are cold ones, which take longest. To be called once before the
  // loop, on the machine and the thread as they will be then; resets. Error where even the fewest
  // steps take longer, or the solver chooses its own.
  Budget fit_to_budget(double milliseconds, int trials = 20);

  // The newest observation, in the units of the demonstrations. The first of an episode stands for
  // those before it, too.
  void observe(std::span<const double> observation) noexcept;
  // The same for a policy of pictures: `observation` has the other numbers, in their order, and
  // `picture` is uint8 [C, H, W].
  void observe(std::span<const double> observation, const at::Tensor& picture) noexcept;

  // The next action of the plan; a decision where the plan is used up.
  Action act() noexcept;

  // The chunk of the last decision, [chunk, A] in the units of the demonstrations; the first
  // executed action is row history - 1.
  const at::Tensor& plan() const { return plan_; }
  // The row of the plan that would be carried out next.
  std::int64_t next_of_plan() const { return policy_->codec.options.history - 1 + used_; }
  const std::vector<Decision>& decisions() const { return decisions_; }
  const std::string& error() const { return error_; }
  const Policy& policy() const { return *policy_; }
  // How it samples: as the policy does, but for the steps that fit_to_budget() chose.
  const solve::GenerateOptions& sampling() const { return sampling_; }

 private:
  void check() const;
  void decide();
  Action without(ActionStatus status);
  flow::Given given() const;
  solve::Start start();
  // The slowest of some decisions with this many solver steps, after a first one that does not
  // count.
  Budget measure(std::int64_t steps, int trials);

  std::shared_ptr<const Policy> policy_;
  ControlOptions options_;
  solve::GenerateOptions sampling_;
  std::uint64_t seed_ = 0;
  at::Tensor history_;  // fp64 [history, O], oldest first
  bool observed_ = false;
  at::Tensor pictures_;  // uint8 [history, C, H, W], or undefined where none are observed
  bool bad_observation_ = false;
  bool stopped_ = false;
  at::Tensor noise_;  // of the last decision, [1, A, 1, T]
  at::Tensor plan_;
  std::int64_t used_ = 0;  // actions of the plan that were carried out
  std::vector<double> last_action_;
  std::vector<Decision> decisions_;
  std::string error_;
};

}  // namespace calor::policy
