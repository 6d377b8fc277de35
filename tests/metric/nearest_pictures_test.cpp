#include "calor/metric/nearest_pictures.h"

#include <algorithm>

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

at::Tensor random_pictures(std::uint64_t seed, std::int64_t n) {
  return (normal(seed, {n, 2, 3, 3}) * 60 + 120).clamp(0, 255).to(at::kByte);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).square().mean().sqrt() / 255).item<double>();
}

TEST(NearestPictures, AgainstAllDistances) {
  const at::Tensor made = random_pictures(1, 12);
  const at::Tensor set = random_pictures(2, 2300);  // more than one piece
  NearestPictures found(made, 3);
  found.add(set.slice(0, 0, 1700), 0);
  found.add(set.slice(0, 1700), 1700);
  for (std::int64_t i = 0; i < 12; ++i) {
    std::vector<std::pair<double, std::int64_t>> all;
    for (std::int64_t j = 0; j < 2300; ++j) all.emplace_back(distance(made[i], set[j]), j);
    std::ranges::sort(all);
    for (std::size_t k = 0; k < 3; ++k) {
      const auto at_k = static_cast<std::int64_t>(k);
      EXPECT_NEAR(found.distances()[i][at_k].item<double>(), all[k].first, 1e-14);
      EXPECT_EQ(found.numbers()[i][at_k].item<std::int64_t>(), all[k].second);
    }
  }
}

// A copy is at distance 0 exactly, and a picture of the set is not its own neighbour.
TEST(NearestPictures, CopiesAndOneself) {
  const at::Tensor set = random_pictures(3, 50);
  const at::Tensor made = set.slice(0, 10, 13);
  NearestPictures copies(made, 2);
  copies.add(set, 0);
  EXPECT_EQ(copies.distances().select(1, 0).abs().max().item<double>(), 0);
  EXPECT_EQ(copies.numbers()[2][0].item<std::int64_t>(), 12);
  EXPECT_EQ(copy_scores(copies.distances()).copied, 1);
  NearestPictures others(made, 2, at::tensor({10, -1, 12}, at::kLong));
  others.add(set, 0);
  EXPECT_GT(others.distances()[0][0].item<double>(), 0);
  EXPECT_EQ(others.distances()[1][0].item<double>(), 0);
  EXPECT_EQ(others.distances()[0][0].item<double>(), copies.distances()[0][1].item<double>());
  EXPECT_NE(others.numbers()[2][0].item<std::int64_t>(), 12);
}

TEST(NearestPictures, TooFew) {
  const at::Tensor made = random_pictures(4, 2);
  NearestPictures found(made, 3);
  found.add(random_pictures(5, 2), 7);
  EXPECT_GE(found.numbers()[0][1].item<std::int64_t>(), 7);
  EXPECT_EQ(found.numbers()[0][2].item<std::int64_t>(), -1);
  EXPECT_TRUE(std::isinf(found.distances()[1][2].item<double>()));
  EXPECT_THROW(NearestPictures(made, 0), Error);
  EXPECT_THROW(NearestPictures(made, 1, at::tensor({1}, at::kLong)), Error);
  EXPECT_THROW(found.add(random_pictures(5, 2).slice(1, 0, 1), 0), Error);
}

TEST(NearestPictures, CopyScoresByHand) {
  const at::Tensor distances =
      at::tensor({0.1, 0.4, 0.2, 0.5, 0.3, 0.31}, at::kDouble).view({3, 2});
  const CopyScores scores = copy_scores(distances);
  EXPECT_EQ(scores.median, 0.2);
  // The quantile of rank .01 (3 - 1) = .02, between the two smallest.
  EXPECT_NEAR(scores.lowest, 0.1 + 0.02 * 0.1, 1e-12);
  EXPECT_NEAR(scores.copied, 1.0 / 3, 1e-15);
  // Of two equal training pictures a copy is a copy, too.
  EXPECT_EQ(copy_scores(at::zeros({2, 2}, at::kDouble)).copied, 1);
  EXPECT_THROW(copy_scores(distances.slice(1, 0, 1)), Error);
}

}  // namespace
}  // namespace calor::metric
