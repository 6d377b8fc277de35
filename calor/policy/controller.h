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
#include "calor/solve/generate.h"

namespace calor::policy {

enum class ActionStatus {
  decided,          // an action of the plan
  not_observed,     // nothing was observed since reset(): no action
  bad_observation,  // the last observation had another size, a number that is not finite, or a
                    // picture of another shape or none where one is observed
  failed,           // the sampler could not make a plan: see Controller::error()
};

// Where the status is not `decided`, `values` is the last action that was (empty where none was):
// holding it, or stopping, is for the caller to choose.
struct Action {
  ActionStatus status = ActionStatus::not_observed;
  std::span<const double> values;  // valid until the next call of act() or reset()
};

struct Decision {
  std::int64_t nfe = 0;
  double seconds = 0;
};

// A policy's network and settings; several controllers, on several threads, may share it.
struct Policy {
  std::unique_ptr<flow::Flow> flow;
  data::PolicyCodec codec;
  solve::GenerateOptions sampling;  // as the model has it; change it before use

  // From a run folder or a model file. Error where it is none, or no policy.
  static std::shared_ptr<Policy> load(const std::filesystem::path& run, at::Device device);

  std::int64_t action_size() const { return codec.actions.width(); }
  std::int64_t observation_size() const { return codec.observations.width(); }
  // The picture that is observed in each step; count 0: none.
  const data::ObservedShape& pictures() const { return flow->items().observed; }
};

class Controller {
 public:
  explicit Controller(std::shared_ptr<const Policy> policy);
  static Controller load(const std::filesystem::path& run, at::Device device = at::kCPU);

  // Forgets what was observed. The noise of decision k of an episode is a function of (seed, k).
  void reset(std::uint64_t seed);

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
  const std::vector<Decision>& decisions() const { return decisions_; }
  const std::string& error() const { return error_; }
  const Policy& policy() const { return *policy_; }

 private:
  void decide();

  std::shared_ptr<const Policy> policy_;
  std::uint64_t seed_ = 0;
  std::vector<std::vector<double>> history_;  // oldest first
  std::vector<at::Tensor> pictures_;          // likewise
  bool bad_observation_ = false;
  at::Tensor plan_;
  std::int64_t used_ = 0;  // actions of the plan that were carried out
  std::vector<double> last_action_;
  std::vector<Decision> decisions_;
  std::string error_;
};

}  // namespace calor::policy
