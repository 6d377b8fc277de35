// What a controller does beyond asking its policy.
#pragma once

#include <cstdint>

#include "calor/config/options.h"

namespace calor::policy {

// What becomes of the action where an observation cannot be used.
enum class BadObservation {
  hold,  // the last action is repeated until an observation can be used again
  stop,  // there is no action any more until reset()
};

// What a decision keeps of the one before it, so that plans do not jump from one way to another.
enum class WarmStart {
  none,
  noise,  // the noise: moved on by the executed steps, with new noise behind
  plan,   // the plan: moved on, mixed with noise again and refined from there, in fewer evaluations
};

struct ControlOptions {
  BadObservation on_bad_observation = BadObservation::hold;
  WarmStart warm_start = WarmStart::none;
  double warm_depth = 0.5;  // plan: how far it is taken back towards noise
  double budget_ms = 0;     // of a decision; an action whose decision took longer is late; 0: none

  void declare(config::Options& options);
};

}  // namespace calor::policy
