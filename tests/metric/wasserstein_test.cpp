#include "calor/metric/wasserstein.h"

#include "calor/core/error.h"
#include "calor/path/assignment.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

TEST(ExactWasserstein, Golden) {
  CALOR_GOLDEN_METRICS(golden);
  const at::Tensor x = golden.at("x").slice(0, 0, 300);
  const at::Tensor y = golden.at("y").slice(0, 0, 300);
  const auto expected = golden.at("w2_squared_first300").item<double>();
  const auto found = exact_wasserstein(x, y, 2, test_key());
  EXPECT_NEAR(found.power / expected, 1, 1e-9);
  EXPECT_NEAR(found.distance, std::sqrt(expected), 1e-9);
  EXPECT_EQ(found.count, 300);
  EXPECT_FALSE(found.subsampled);
  const auto single = exact_wasserstein(x.to(at::kFloat), y.to(at::kFloat), 2, test_key());
  EXPECT_NEAR(single.power / expected, 1, 1e-4);
  const at::Tensor cost = euclidean_distances(x, y).square();
  EXPECT_TRUE(
      at::tensor(path::optimal_assignment(cost)).equal(golden.at("w2_assignment_first300")));
}

// A translation is an optimal map for every p.
TEST(ExactWasserstein, Translation) {
  const at::Tensor x = normal(1, {100, 4});
  const at::Tensor shift = at::tensor({1.0, -2.0, 2.0, 0.0}, at::kDouble);
  const at::Tensor y = (x + shift).flip(0);
  EXPECT_NEAR(exact_wasserstein(x, y, 1, test_key()).distance, 3, 1e-9);
  EXPECT_NEAR(exact_wasserstein(x, y, 2, test_key()).distance, 3, 1e-9);
  EXPECT_NEAR(exact_wasserstein(x, y, 2, test_key()).power, 9, 1e-9);
}

TEST(ExactWasserstein, OnALineIsTheDifferenceOfQuantiles) {
  const at::Tensor x = normal(1, {150});
  const at::Tensor y = normal(2, {150}) * 3;
  for (const int p : {1, 2}) {
    EXPECT_NEAR(exact_wasserstein(x.unsqueeze(1), y.unsqueeze(1), p, test_key()).power,
                wasserstein_1d_power(x, y, p), 1e-10);
  }
}

TEST(ExactWasserstein, SaysThatItTookAPart) {
  const at::Tensor x = normal(1, {120, 3});
  const auto limited = exact_wasserstein(x, normal(2, {120, 3}), 2, test_key(), 50);
  EXPECT_EQ(limited.count, 50);
  EXPECT_TRUE(limited.subsampled);
  const auto uneven = exact_wasserstein(x, normal(2, {80, 3}), 2, test_key());
  EXPECT_EQ(uneven.count, 80);
  EXPECT_TRUE(uneven.subsampled);
  EXPECT_EQ(exact_wasserstein(x, normal(2, {80, 3}), 2, test_key()).power, uneven.power);
  EXPECT_NE(exact_wasserstein(x, normal(2, {80, 3}), 2, test_key(2)).power, uneven.power);
  EXPECT_THROW(exact_wasserstein(x, x, 3, test_key()), Error);
  EXPECT_THROW(exact_wasserstein(x, x, 2, test_key(), 0), Error);
}

// Sets of n and m values are the laws of n m values each, every one repeated.
TEST(Wasserstein1d, UnequalCounts) {
  for (const auto& [n, m] : {std::pair<std::int64_t, std::int64_t>{6, 4}, {7, 3}, {1, 5}, {5, 5}}) {
    const at::Tensor x = normal(static_cast<std::uint64_t>(n), {n});
    const at::Tensor y = normal(static_cast<std::uint64_t>(10 + m), {m}) + 1;
    for (const double p : {1.0, 2.0, 3.5}) {
      const at::Tensor quantiles_x = std::get<0>(x.repeat_interleave(m).sort());
      const at::Tensor quantiles_y = std::get<0>(y.repeat_interleave(n).sort());
      EXPECT_NEAR(wasserstein_1d_power(x, y, p),
                  (quantiles_x - quantiles_y).abs().pow(p).mean().item<double>(), 1e-12);
    }
  }
  EXPECT_THROW(wasserstein_1d_power(normal(1, {3, 2}), normal(1, {3}), 1), Error);
  EXPECT_THROW(wasserstein_1d_power(normal(1, {3}), normal(1, {3}), 0.5), Error);
}

// A translation by c moves every projection by u.c, whose mean square is |c|^2/d: here 9/4. The
// margin is 4 standard errors over the directions. Its mean modulus is |c| times that of a
// coordinate on the sphere of 4 dimensions, 4/(3 pi).
TEST(SlicedWasserstein, Translation) {
  const at::Tensor x = normal(1, {90, 4});
  const at::Tensor y = x + at::tensor({1.0, -2.0, 2.0, 0.0}, at::kDouble);
  const auto second = sliced_wasserstein(x, y, 2, test_key(), 2000);
  EXPECT_NEAR(second.power, 9.0 / 4, 4 * second.standard_error);
  EXPECT_LT(second.standard_error, 0.1);
  EXPECT_NEAR(second.distance * second.distance, second.power, 1e-12);
  const auto first = sliced_wasserstein(x, y, 1, test_key(), 2000);
  EXPECT_NEAR(first.distance, 3 * 4 / (3 * M_PI), 4 * first.standard_error);
  // The same set given twice over is the same law, and so is one of other size.
  const auto doubled = sliced_wasserstein(at::cat({x, x}), y, 2, test_key(), 2000);
  EXPECT_NEAR(doubled.power, second.power, 1e-10);
}

TEST(SlicedWasserstein, OnALineIsExact) {
  const at::Tensor x = normal(1, {70, 1});
  const at::Tensor y = normal(2, {50, 1}) * 2;
  EXPECT_NEAR(sliced_wasserstein(x, y, 2, test_key(), 5).power,
              wasserstein_1d_power(x.squeeze(1), y.squeeze(1), 2), 1e-12);
  EXPECT_THROW(sliced_wasserstein(x, y, 2, test_key(), 1), Error);
  EXPECT_THROW(sliced_wasserstein(x, y, 0, test_key()), Error);
}

}  // namespace
}  // namespace calor::metric
