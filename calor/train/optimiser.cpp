#include "calor/train/optimiser.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/net/kernels/gpu/launch.h"
#include "calor/train/adamw_task.h"

namespace calor::train {
namespace {

AdamwFactors factors_of(double gradient_scale, const OptimiserSettings& s, std::int64_t updates) {
  const auto n = static_cast<double>(updates);  // this one included
  const double ramp = (1 + n) / (10 + n);
  return {.gradient_scale = static_cast<float>(gradient_scale),
          .beta1 = static_cast<float>(s.beta1),
          .beta2 = static_cast<float>(s.beta2),
          .step_size = static_cast<float>(s.lr / (1 - std::pow(s.beta1, n))),
          .inverse_sqrt_correction2 = static_cast<float>(1 / std::sqrt(1 - std::pow(s.beta2, n))),
          .keep = static_cast<float>(1 - s.lr * s.weight_decay),
          .ema = static_cast<float>(std::min(s.ema, ramp)),
          .ema2 = static_cast<float>(std::min(s.ema2, ramp))};
}

AdamwTask task_of(const at::Tensor& weights, const at::Tensor& gradient, const AdamwFactors& f,
                  const OptimiserState& state) {
  return {.weights = weights.data_ptr<float>(),
          .gradient = gradient.const_data_ptr<float>(),
          .first_moment = state.first_moment.data_ptr<float>(),
          .second_moment = state.second_moment.data_ptr<float>(),
          .average = state.ema.data_ptr<float>(),
          .average2 = state.ema2.data_ptr<float>(),
          .factors = f};
}

void update_on_cpu(const AdamwTask& task, std::int64_t count) {
  at::parallel_for(0, count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    const AdamwTask own = task;  // nothing that the loop writes can change it
    for (std::int64_t i = begin; i < end; ++i) own(i);
  });
}

// The same in LibTorch's operators, for any device.
void update_anywhere(at::Tensor& weights, const at::Tensor& gradient, const AdamwFactors& f,
                     OptimiserState& state) {
  const at::Tensor grad = gradient * f.gradient_scale;
  state.first_moment.mul_(f.beta1).add_(grad, 1 - f.beta1);
  state.second_moment.mul_(f.beta2).addcmul_(grad, grad, 1 - f.beta2);
  const at::Tensor denominator =
      state.second_moment.sqrt().mul_(f.inverse_sqrt_correction2).add_(AdamwTask::epsilon);
  weights.mul_(f.keep).addcdiv_(state.first_moment, denominator, -f.step_size);
  state.ema.lerp_(weights, 1 - f.ema);
  state.ema2.lerp_(weights, 1 - f.ema2);
}

}  // namespace

OptimiserState OptimiserState::start(const at::Tensor& weights) {
  const at::Tensor plain = weights.detach();
  return {.first_moment = at::zeros_like(plain),
          .second_moment = at::zeros_like(plain),
          .ema = plain.clone(),
          .ema2 = plain.clone(),
          .updates = 0};
}

void update(at::Tensor& weights, const at::Tensor& gradient, double gradient_scale,
            const OptimiserSettings& settings, OptimiserState& state) {
  ++state.updates;
  const AdamwFactors f = factors_of(gradient_scale, settings, state.updates);
  if (net::kernels::gpu::serves(weights)) {
    net::kernels::gpu::for_elements(weights.device(), task_of(weights, gradient, f, state),
                                    weights.numel());
  } else if (weights.is_cpu()) {
    update_on_cpu(task_of(weights, gradient, f, state), weights.numel());
  } else {
    update_anywhere(weights, gradient, f, state);
  }
}

double LearningRate::at(std::int64_t step, std::int64_t steps) const {
  double share = 1;
  if (step < warmup) share = static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double decay_steps = decay_share * static_cast<double>(steps);
  const auto left = static_cast<double>(steps - step);
  if (decay_steps > 0 && left < decay_steps) {
    const double linear = left / decay_steps;
    const double cosine = (1 - std::cos(std::numbers::pi * linear)) / 2;
    share = std::min(share, decay_shape == DecayShape::cosine ? cosine : linear);
  }
  if (factor != 1) share *= std::pow(factor, static_cast<double>(step / every));
  return base * share;
}

}  // namespace calor::train
