#include "calor/path/arc_length.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace calor::path {
namespace {

DataSpectrum one(double variance, double mean = 0, double lambda = 0) {
  const auto number = [](double value) { return at::full({1}, value, at::kDouble); };
  return {number(variance), number(mean * mean), number(lambda)};
}

// The Gaussian oracle of METHODS: C = .0625 side^2 / (1 + i^2 + j^2), side 32. Four stages: length
// 24.79, gammas .101 .195 .400 and a free one.
TEST(ArcLength, OfTheGaussianOracle) {
  const at::Tensor i = at::arange(32, at::kDouble).square();
  const at::Tensor c = 0.0625 * 32 * 32 / (1 + i.unsqueeze(1) + i.unsqueeze(0));
  const auto arc = equal_arc_length({c, at::zeros_like(c), at::zeros_like(c)}, 0, 4);
  EXPECT_NEAR(arc.length, 24.79, 0.005);
  ASSERT_EQ(arc.gammas.size(), 3U);
  EXPECT_NEAR(arc.gammas[0], 0.101, 5e-4);
  EXPECT_NEAR(arc.gammas[1], 0.195, 5e-4);
  EXPECT_NEAR(arc.gammas[2], 0.400, 5e-4);
}

// One coefficient moves straight from sqrt(C) to 1: borders are where sqrt(c) has gone its share.
TEST(ArcLength, OfOneCoefficientInClosedForm) {
  for (const double variance : {0.0, 0.3, 9.0}) {
    for (const double theta : {1.0, 3.0}) {
      const auto arc = equal_arc_length(one(variance, 0, theta - 1), 1, 5);
      const double from = std::sqrt(variance);
      EXPECT_NEAR(arc.length, std::abs(1 - from), 1e-6);
      double time = 0;
      for (int k = 1; k < 5; ++k) {
        const double deviation = from + (1 - from) * k / 5;
        const double left = (deviation * deviation - 1) / (variance - 1);  // e^(-2 theta T)
        time += arc.gammas[static_cast<std::size_t>(k) - 1];
        EXPECT_NEAR(time, -std::log(left) / (2 * theta), 1e-5) << variance << " " << theta;
      }
    }
  }
  // A mean alone, m e^-T: it goes the length m.
  const auto mean = equal_arc_length(one(1, 2), 0, 2);
  EXPECT_NEAR(mean.length, 2, 1e-6);
  EXPECT_NEAR(mean.gammas[0], std::log(2), 1e-6);
}

// The law changes fastest near the data: steps never shrink towards noise.
TEST(ArcLength, StepsGrow) {
  const at::Tensor c = at::tensor({0.0, 0.01, 0.5, 3.0, 200.0}, at::kDouble);
  const at::Tensor m = at::tensor({0.0, 4.0, 0.0, 0.1, 30.0}, at::kDouble);
  const at::Tensor lambda = at::tensor({8.0, 4.0, 2.0, 1.0, 0.0}, at::kDouble);
  for (const double rho : {0.0, 0.5}) {
    const auto arc = equal_arc_length({c, m, lambda}, rho, 8);
    for (std::size_t n = 1; n < arc.gammas.size(); ++n) {
      EXPECT_GE(arc.gammas[n], arc.gammas[n - 1]) << n;
    }
  }
}

}  // namespace
}  // namespace calor::path
