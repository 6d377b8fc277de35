#include "calor/metric/neighbours.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

TEST(Neighbours, GoldenPrecisionAndRecall) {
  CALOR_GOLDEN_METRICS(golden);
  const at::Tensor x = golden.at("x");
  const at::Tensor y = golden.at("y");
  for (const auto type : {at::kDouble, at::kFloat}) {
    const auto scores = neighbour_scores(x.to(type), y.to(type));
    EXPECT_DOUBLE_EQ(scores.precision, golden.at("precision_k3").item<double>());
    EXPECT_DOUBLE_EQ(scores.recall, golden.at("recall_k3").item<double>());
  }
}

// k = 1: real balls (0, 1), (1, 1), (3, 2); generated balls (0.5, 9.5), (10, 1), (11, 1). Only 0.5
// lies in real balls, in two of them; all real points lie in its ball.
TEST(Neighbours, ByHand) {
  const at::Tensor real = at::tensor({0.0, 1.0, 3.0}, at::kDouble).unsqueeze(1);
  const at::Tensor generated = at::tensor({0.5, 10.0, 11.0}, at::kDouble).unsqueeze(1);
  const auto scores = neighbour_scores(real, generated, 1);
  EXPECT_DOUBLE_EQ(scores.precision, 1.0 / 3);
  EXPECT_DOUBLE_EQ(scores.recall, 1);
  EXPECT_DOUBLE_EQ(scores.density, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores.coverage, 2.0 / 3);
  const auto turned = neighbour_scores(generated, real, 1);
  EXPECT_DOUBLE_EQ(turned.precision, scores.recall);
  EXPECT_DOUBLE_EQ(turned.recall, scores.precision);
}

TEST(Neighbours, Extremes) {
  const at::Tensor x = normal(1, {200, 5});
  const auto same = neighbour_scores(x, x);
  EXPECT_EQ(same.precision, 1);
  EXPECT_EQ(same.recall, 1);
  EXPECT_EQ(same.coverage, 1);
  // Each ball holds its centre, its two nearer neighbours and, on its border, the third.
  EXPECT_NEAR(same.density, 4.0 / 3, 1e-12);
  const auto apart = neighbour_scores(x, x + 100);
  EXPECT_EQ(apart.precision + apart.recall + apart.density + apart.coverage, 0);
  EXPECT_THROW(neighbour_scores(x.slice(0, 0, 3), x), Error);
  EXPECT_THROW(neighbour_scores(x, x, 0), Error);
}

// For equal laws the expected density is 1 (Naeem et al. 2020) and the expected coverage is
// 1 - (n - 1)...(n - k)/((2n - 1)...(2n - k)), near 1 - 2^-k. The margins are some five times the
// scatter over seeds, 0.02 and 0.01.
TEST(Neighbours, EqualLaws) {
  const auto scores = neighbour_scores(normal(1, {1000, 6}), normal(2, {1000, 6}), 5);
  EXPECT_NEAR(scores.density, 1, 0.1);
  EXPECT_NEAR(scores.coverage, 1 - 1.0 / 32, 0.03);
}

}  // namespace
}  // namespace calor::metric
