// One weight's update, for processors and GPUs.
#pragma once

#include <cmath>
#include <cstdint>

#include "calor/net/kernels/clones.h"

namespace calor::train {

// What a step's settings come down to.
struct AdamwFactors {
  float gradient_scale, beta1, beta2, step_size, inverse_sqrt_correction2, keep, ema, ema2;
};

struct AdamwTask {
  static constexpr float epsilon = 1e-8F;

  float* weights;
  const float* gradient;
  float* first_moment;
  float* second_moment;
  float* average;
  float* average2;
  AdamwFactors factors;

  CALOR_INLINE void operator()(std::int64_t i) const {
    const AdamwFactors& f = factors;
    const float grad = gradient[i] * f.gradient_scale;
    const float m = f.beta1 * first_moment[i] + (1 - f.beta1) * grad;
    const float v = f.beta2 * second_moment[i] + (1 - f.beta2) * grad * grad;
    const float w = f.keep * weights[i] -
                    f.step_size * m / (std::sqrt(v) * f.inverse_sqrt_correction2 + epsilon);
    first_moment[i] = m;
    second_moment[i] = v;
    weights[i] = w;
    average[i] = f.ema * average[i] + (1 - f.ema) * w;
    average2[i] = f.ema2 * average2[i] + (1 - f.ema2) * w;
  }
};

}  // namespace calor::train
