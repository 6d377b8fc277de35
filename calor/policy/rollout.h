// Episodes of a policy in an environment.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "calor/policy/controller.h"
#include "calor/policy/environment.h"

namespace calor::policy {

struct RolloutOptions {
  std::string environment = {};  // empty: environment_for the policy
  std::string observation = {};  // of the environment; empty: the one of the policy's size
  std::int64_t episodes = 50;
  std::uint64_t seed = 500'000;  // of the first episode; the others follow
  std::int64_t max_steps = 0;    // 0: the environment's
  int workers = 1;               // episodes at a time, one thread each
  std::int64_t filmed = 0;       // episodes, the first ones, of which frames are kept
  ControlOptions control = {};
};

struct Episode {
  std::uint64_t seed = 0;
  double best_reward = 0;
  bool success = false;
  std::int64_t steps = 0;
  std::string way;  // of the environment
  std::vector<Decision> decisions;
  std::vector<at::Tensor> frames;  // uint8 [3, side, side], where filmed
  std::string error;               // why it ended early, where it did
};

// The first environment whose actions and observations, or the one called `observation`, have the
// sizes of the policy's; UsageError where none has.
std::string environment_for(const Policy& policy, const std::string& observation);

// Episode i starts from seed + i and has noise of its own, so the result does not depend on the
// number of workers. Stops early, with the episodes done so far, where a signal asks for it.
// Error where the policy's sizes are not the environment's.
std::vector<Episode> roll_out(const std::shared_ptr<const Policy>& policy,
                              const RolloutOptions& options,
                              const std::function<void(std::int64_t done)>& on_episode = {});

// A share of successes with its 95 % interval (Wilson, 1927).
struct Share {
  double value = 0, low = 0, high = 0;
};
Share success_share(std::int64_t successes, std::int64_t of);

}  // namespace calor::policy
