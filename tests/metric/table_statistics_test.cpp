#include "calor/metric/table_statistics.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

at::Tensor codes(std::initializer_list<std::int64_t> values) {
  return at::tensor(at::ArrayRef<std::int64_t>(values), at::kLong);
}

TEST(TableStatistics, NumericByHand) {
  const at::Tensor real = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble);
  const double deviation = std::sqrt(5.0 / 3);
  const auto found = numeric_difference(real, real + 2);
  EXPECT_NEAR(found.kolmogorov_smirnov, 0.5, 1e-12);
  EXPECT_NEAR(found.wasserstein1, 2 / deviation, 1e-12);
  EXPECT_NEAR(found.mean, 2 / deviation, 1e-12);
  EXPECT_NEAR(found.standard_deviation, 0, 1e-12);
  const auto wider = numeric_difference(real, real * 3);
  EXPECT_NEAR(wider.standard_deviation, 2, 1e-12);
  EXPECT_NEAR(wider.kolmogorov_smirnov, 0.75, 1e-12);  // at 4, of 3, 6, 9, 12
  EXPECT_EQ(numeric_difference(real.to(at::kLong), real).wasserstein1, 0);
  // A constant column is its own unit.
  const auto constant = numeric_difference(at::full({5}, 7.0), at::full({3}, 9.0));
  EXPECT_EQ(constant.mean, 2);
  EXPECT_EQ(constant.kolmogorov_smirnov, 1);
  EXPECT_THROW(numeric_difference(real, real.slice(0, 0, 1)), Error);
}

// For N(0, 1) and N(m, 1): KS = 2 Phi(m/2) - 1, W1 = m. Margins: 4/sqrt(n), n = 10000, over the
// supremum's asymptotic scatter of sqrt(2/n) at most.
TEST(TableStatistics, NumericClosedForm) {
  const auto found = numeric_difference(normal(1, {10000}), normal(2, {10000}) + 0.5);
  EXPECT_NEAR(found.kolmogorov_smirnov, std::erf(0.25 / std::sqrt(2.0)), 0.04);
  EXPECT_NEAR(found.wasserstein1, 0.5, 0.04);
}

TEST(TableStatistics, TotalVariationByHand) {
  EXPECT_NEAR(total_variation(codes({0, 0, 1, 1}), codes({0, 1, 2, 2})), 0.5, 1e-12);
  EXPECT_NEAR(total_variation(codes({5, 7}), codes({7, 5, 7, 5})), 0, 1e-12);
  EXPECT_NEAR(total_variation(codes({-1, -1}), codes({1000000007})), 1, 1e-12);
  EXPECT_THROW(total_variation(at::tensor({0.5}), codes({1})), Error);
}

// The table ((10, 20), (30, 40)): chi^2 = 100 (10 40 - 20 30)^2 / (30 70 40 60).
TEST(TableStatistics, CramersVByHand) {
  std::vector<std::int64_t> a;
  std::vector<std::int64_t> b;
  const std::int64_t cells[2][2] = {{10, 20}, {30, 40}};
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t j = 0; j < 2; ++j) {
      for (std::int64_t c = 0; c < cells[i][j]; ++c) {
        a.push_back(3 * i - 1);
        b.push_back(7 * j);
      }
    }
  }
  const double chi2 = 100.0 * 200 * 200 / (30.0 * 70 * 40 * 60);
  EXPECT_NEAR(cramers_v(at::tensor(a), at::tensor(b)), std::sqrt(chi2 / 100), 1e-10);
  // One follows from the other: 1. A product law: 0. A constant: 0.
  EXPECT_NEAR(cramers_v(codes({0, 1, 2, 0}), codes({5, 3, 4, 5})), 1, 1e-10);
  EXPECT_NEAR(cramers_v(codes({0, 0, 0, 1, 1, 1}), codes({0, 1, 2, 0, 1, 2})), 0, 1e-7);
  EXPECT_EQ(cramers_v(codes({4, 4, 4}), codes({0, 1, 2})), 0);
  EXPECT_THROW(cramers_v(codes({4, 4, 4}), codes({0, 1})), Error);
}

// Too many pairs of levels to count one by one: every row a level of its own. V = 1; tables whose
// pairs of levels never agree differ wholly.
TEST(TableStatistics, ManyLevels) {
  const at::Tensor rows = at::arange(1000, at::kDouble);
  EXPECT_NEAR(cramers_v(rows, rows * 5 - 3), 1, 1e-10);
  const auto found = table_difference(at::stack({rows, rows}, 1),
                                      at::stack({rows, rows.roll(1)}, 1), {true, true});
  EXPECT_NEAR(found.contingency.max, 1, 1e-12);
  EXPECT_NEAR(found.cramers_v.max, 0, 1e-10);
  EXPECT_NEAR(found.columns[1].total_variation, 0, 1e-12);
}

TEST(TableStatistics, Correlations) {
  const at::Tensor x = at::tensor({1.0, 2.0, 2.0, 3.0}, at::kDouble);
  const at::Tensor y = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble);
  // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5/sqrt(4.5 5). The third column is constant.
  const at::Tensor table = at::stack({x, y.exp(), at::full({4}, 0.1, at::kDouble)}, 1);
  const at::Tensor spearman = spearman_correlation(table);
  EXPECT_NEAR(spearman[0][1].item<double>(), 4.5 / std::sqrt(22.5), 1e-12);
  EXPECT_EQ(spearman[0][2].item<double>(), 0);
  EXPECT_EQ(spearman[2][2].item<double>(), 1);
  const at::Tensor pearson = pearson_correlation(at::stack({x, y, -2 * x + 5}, 1));
  EXPECT_NEAR(pearson[0][1].item<double>(), 3 / std::sqrt(2.0 * 5), 1e-12);
  EXPECT_NEAR(pearson[0][2].item<double>(), -1, 1e-12);
}

// Columns shuffled by themselves keep their own laws and lose what ties them together.
TEST(TableStatistics, ShuffledColumnsDifferInPairsOnly) {
  const std::int64_t n = 4000;
  const at::Tensor base = normal(1, {n});
  const at::Tensor near = base + 0.5 * normal(2, {n});
  const at::Tensor sign = base.gt(0).to(at::kDouble);
  const at::Tensor third = near.gt(0).to(at::kDouble) + 10;
  const at::Tensor real = at::stack({base, sign, near, third}, 1);
  std::vector<at::Tensor> shuffled;
  for (std::int64_t j = 0; j < 4; ++j) {
    const auto order = random_permutation(test_key(static_cast<std::uint64_t>(j)), n);
    shuffled.push_back(real.select(1, j).index_select(0, at::tensor(order)));
  }
  const auto found = table_difference(real, at::stack(shuffled, 1), {false, true, false, true});
  ASSERT_EQ(found.columns.size(), 4U);
  for (const auto& column : found.columns) {
    EXPECT_NEAR(column.numeric.wasserstein1, 0, 1e-12);
    EXPECT_NEAR(column.numeric.kolmogorov_smirnov, 0, 1e-12);
    EXPECT_NEAR(column.total_variation, 0, 1e-12);
  }
  EXPECT_TRUE(found.columns[1].categorical && !found.columns[2].categorical);
  // Correlation 1/sqrt(1.25) before, 0 +- 1/sqrt(n) after; four of those, and four of the first's.
  EXPECT_NEAR(found.pearson.max, 1 / std::sqrt(1.25), 8 / std::sqrt(4000.0));
  EXPECT_EQ(found.pearson.max, found.pearson.mean);
  EXPECT_EQ(found.pearson.difference.size(0), 2);
  EXPECT_GT(found.spearman.max, 0.75);
  // Signs of normals of correlation r agree with probability 1/2 + asin(r)/pi, V = 2 asin(r)/pi,
  // and the joint shares are V/4 off independence in each of four cells.
  const double v = 2 * std::asin(1 / std::sqrt(1.25)) / M_PI;
  EXPECT_NEAR(found.cramers_v.max, v, 8 / std::sqrt(4000.0));
  EXPECT_NEAR(found.contingency.max, v / 2, 4 / std::sqrt(4000.0));
  EXPECT_EQ(found.contingency.difference[0][1].item<double>(), found.contingency.max);
}

// What is missing in one column takes nothing from the others; pairs are compared where both are.
TEST(TableStatistics, MissingNumbersAreLeftOutByColumnAndByPair) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor x = at::tensor({1.0, 2.0, 3.0, 4.0, nan, nan}, at::kDouble);
  const at::Tensor y = at::tensor({nan, 2.0, 3.0, 5.0, 1.0, 9.0}, at::kDouble);
  const at::Tensor z = at::tensor({0.0, nan, nan, nan, 1.0, 2.0}, at::kDouble);
  const at::Tensor real = at::stack({x, y, z}, 1);
  const at::Tensor other = at::stack({x + 1, -y, at::full({6}, nan, at::kDouble)}, 1);
  const auto found = table_difference(real, other, {false, false, false});
  EXPECT_NEAR(found.columns[0].missing_real, 1.0 / 3, 1e-15);
  EXPECT_EQ(found.columns[2].missing_synthetic, 1);
  // Four numbers each, moved by one; 1, ..., 4 have the deviation sqrt(5/3).
  EXPECT_NEAR(found.columns[0].numeric.mean, 1 / std::sqrt(5.0 / 3), 1e-12);
  EXPECT_NEAR(found.columns[0].numeric.kolmogorov_smirnov, 0.25, 1e-12);
  EXPECT_TRUE(std::isnan(found.columns[2].numeric.mean));
  // x and y in rows 1 to 3, (2, 2), (3, 3), (4, 5): r = 3 / sqrt(2 * 14 / 3); -y turns its sign.
  const double r = 3 / std::sqrt(2 * 14.0 / 3);
  EXPECT_NEAR(found.pearson.difference[0][1].item<double>(), 2 * r, 1e-12);
  EXPECT_NEAR(found.pearson.max, 2 * r, 1e-12);  // the other pairs have no numbers
  EXPECT_NEAR(found.spearman.max, 2, 1e-12);
  EXPECT_TRUE(std::isnan(found.pearson.difference[0][2].item<double>()));
  const auto without = table_difference(real.slice(1, 1), other.slice(1, 1), {false, false});
  EXPECT_TRUE(std::isnan(without.pearson.max));
}

TEST(TableStatistics, EqualTablesAndOneKindOfColumn) {
  const at::Tensor numbers = normal(1, {50, 3});
  const auto same = table_difference(numbers, numbers, {false, false, false});
  EXPECT_EQ(same.pearson.max + same.spearman.max, 0);
  EXPECT_EQ(same.cramers_v.difference.numel(), 0);
  const auto coded = table_difference(numbers.round(), numbers.round(), {true, true, true});
  EXPECT_EQ(coded.contingency.max + coded.cramers_v.max, 0);
  EXPECT_EQ(coded.pearson.difference.numel(), 0);
  EXPECT_THROW(table_difference(numbers, numbers, {false, false}), Error);
  try {
    table_difference(numbers.round(), numbers, {false, true, false});
    FAIL() << "codes that are no whole numbers were taken";
  } catch (const Error& error) {
    EXPECT_NE(error.expected().find("synthetic column 1"), std::string::npos);
  }
}

}  // namespace
}  // namespace calor::metric
