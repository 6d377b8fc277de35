// The noise that stochastic samplers draw on the way: a function of the item's key, the stage and
// the step.
#pragma once

#include <cstddef>
#include <span>

#include "calor/core/random.h"
#include "calor/flow/flow.h"
#include "calor/solve/sampler.h"

namespace calor::solve {

// The noise of the steps in one stage, for the items of these keys; none where there are none. The
// flow must outlive it.
StepNoise step_noise(const flow::Flow& flow, std::span<const RandomKey> keys, std::size_t stage);

}  // namespace calor::solve
