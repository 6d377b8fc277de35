#include "calor/train/optimiser.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "calor/net/kernels/gpu/launch.h"

namespace calor::train {
namespace {

// AdamW written out in float64, three steps.
TEST(Optimiser, IsAdamW) {
  const OptimiserSettings s{
      .lr = 0.1, .beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.01, .ema = 0.99, .ema2 = 0.05};
  at::Tensor weights = at::tensor({1.0F, -2.0F, 0.5F});
  OptimiserState state = OptimiserState::start(weights);
  std::array<double, 3> w{1, -2, 0.5};
  std::array<double, 3> m{};
  std::array<double, 3> v{};
  std::array<double, 3> ema = w;
  std::array<double, 3> ema2 = w;
  for (int n = 1; n <= 3; ++n) {
    const at::Tensor gradient = at::tensor({0.4F * static_cast<float>(n), -3.0F, 0.0F});
    update(weights, gradient, 0.5, s, state);
    for (std::size_t i = 0; i < 3; ++i) {
      const double g = 0.5 * gradient[static_cast<std::int64_t>(i)].item<double>();
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double mh = m[i] / (1 - std::pow(0.9, n));
      const double vh = v[i] / (1 - std::pow(0.95, n));
      w[i] = w[i] * (1 - 0.1 * 0.01) - 0.1 * mh / (std::sqrt(vh) + 1e-8);
      const double ramp = (1.0 + n) / (10.0 + n);
      ema[i] = std::min(0.99, ramp) * ema[i] + (1 - std::min(0.99, ramp)) * w[i];
      ema2[i] = 0.05 * ema2[i] + 0.95 * w[i];
      const auto k = static_cast<std::int64_t>(i);
      EXPECT_NEAR(weights[k].item<double>(), w[i], 2e-6);
      EXPECT_NEAR(state.ema[k].item<double>(), ema[i], 2e-6);
      EXPECT_NEAR(state.ema2[k].item<double>(), ema2[i], 2e-6);
    }
  }
  EXPECT_EQ(state.updates, 3);
}

// The same numbers by the loop over all threads, by a GPU's tasks and on a GPU.
TEST(Optimiser, IsTheSameEverywhere) {
  const OptimiserSettings settings{.lr = 0.1, .weight_decay = 0.01};
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor start = at::randn({70'000}, generator),
                   gradient = at::randn({70'000}, generator);
  const auto updated = [&](const at::Device& device) {
    at::Tensor weights = start.to(device, at::kFloat, false, /*copy=*/true);
    OptimiserState state = OptimiserState::start(weights);
    for (int n = 0; n < 3; ++n) update(weights, gradient.to(device), 0.5, settings, state);
    return at::stack({weights, state.first_moment, state.second_moment, state.ema, state.ema2})
        .cpu();
  };
  const at::Tensor by_loop = updated(at::kCPU);
  {
    const net::kernels::gpu::TasksOnProcessor tasks;
    EXPECT_TRUE(at::equal(updated(at::kCPU), by_loop));
  }
  if (at::hasCUDA()) {
    EXPECT_TRUE(at::allclose(updated(at::kCUDA), by_loop, 1e-5, 1e-6));
  }
}

TEST(Optimiser, LearningRateSchedule) {
  const auto rate = [](std::int64_t warmup, double decay) {
    return LearningRate{.base = 1, .warmup = warmup, .decay_share = decay};
  };
  EXPECT_DOUBLE_EQ(rate(10, 0.3).at(0, 100), 0.1);
  EXPECT_DOUBLE_EQ(rate(10, 0.3).at(9, 100), 1);
  EXPECT_DOUBLE_EQ(rate(10, 0.3).at(70, 100), 1);
  EXPECT_DOUBLE_EQ(rate(10, 0.3).at(85, 100), 0.5);
  EXPECT_DOUBLE_EQ(rate(10, 0).at(99, 100), 1);
  EXPECT_NEAR(rate(0, 0.3).at(99, 100), 1.0 / 30, 1e-12);
  LearningRate cosine = rate(10, 0.5);
  cosine.decay_shape = DecayShape::cosine;
  EXPECT_DOUBLE_EQ(cosine.at(0, 100), 0.1);
  EXPECT_DOUBLE_EQ(cosine.at(50, 100), 1);
  EXPECT_DOUBLE_EQ(cosine.at(75, 100), 0.5);
  EXPECT_NEAR(cosine.at(62, 100), (1 + std::cos(0.24 * std::acos(-1.0))) / 2, 1e-12);
  EXPECT_NEAR(cosine.at(100, 100), 0, 1e-15);
  LearningRate published = rate(0, 0);
  published.factor = 0.9;
  published.every = 40;
  EXPECT_DOUBLE_EQ(published.at(39, 100), 1);
  EXPECT_DOUBLE_EQ(published.at(80, 100), 0.81);
}

}  // namespace
}  // namespace calor::train
