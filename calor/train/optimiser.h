// AdamW with two weight averages, over flat buffers: gradient scaling, moments, weights and both
// EMAs in one pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::train {

struct OptimiserSettings {
  double lr = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double weight_decay = 0;
  double ema = 0.9999;
  double ema2 = 0.9996;
};

// All [count], fp32, on the device of the weights.
struct OptimiserState {
  at::Tensor first_moment, second_moment, ema, ema2;
  std::int64_t updates = 0;  // steps taken (bad steps do not count)

  // Zero moments; the averages start at the weights.
  static OptimiserState start(const at::Tensor& weights);
};

// One update of `weights` from `gradient` times `gradient_scale` (the clipping factor). Loshchilov
// and Hutter, "Decoupled Weight Decay Regularization", with epsilon 1e-8; the averages follow the
// new weights with decay min(d, (1 + n)/(10 + n)) after n updates, so that early weights fade.
void update(at::Tensor& weights, const at::Tensor& gradient, double gradient_scale,
            const OptimiserSettings& settings, OptimiserState& state);

enum class DecayShape { linear, cosine };

// How the learning rate changes over the steps.
struct LearningRate {
  double base = 0;
  std::int64_t warmup = 0;                      // steps of linear rise
  double decay_share = 0;                       // fall to 0 over this last share of the steps
  DecayShape decay_shape = DecayShape::linear;  // cosine: (1 - cos(pi s))/2 at the share s left
  double factor = 1;                            // and times this
  std::int64_t every = 1000;                    //   after each so many steps

  // Of step `step` (from 0) of `steps`.
  double at(std::int64_t step, std::int64_t steps) const;
};

}  // namespace calor::train
