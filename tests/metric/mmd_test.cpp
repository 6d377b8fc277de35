#include "calor/metric/mmd.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

TEST(Mmd, GoldenPolynomial) {
  CALOR_GOLDEN_METRICS(golden);
  const auto expected = golden.at("mmd2_poly3_unbiased").item<double>();
  const at::Tensor x = golden.at("x");
  const at::Tensor y = golden.at("y");
  EXPECT_NEAR(mmd2_polynomial(x, y) / expected, 1, 1e-9);
  EXPECT_NEAR(mmd2_polynomial(x.to(at::kFloat), y.to(at::kFloat)) / expected, 1, 1e-4);
}

// The formula with whole matrices, for sets so large that the sums go in several parts.
TEST(Mmd, PartsAddUp) {
  const at::Tensor x = normal(1, {1500, 2});
  const at::Tensor y = normal(2, {1400, 2}) + 0.3;
  const auto kernel = [](const at::Tensor& a, const at::Tensor& b) {
    return (at::cdist(a, b).square() * -0.5 / 4).exp();
  };
  const auto others = [&](const at::Tensor& a) {
    const auto n = static_cast<double>(a.size(0));
    return (kernel(a, a).sum().item<double>() - n) / (n * (n - 1));
  };
  const double direct = others(x) + others(y) - 2 * kernel(x, y).mean().item<double>();
  // cdist's own fast path rounds distances of a point to itself to 1e-8.
  EXPECT_NEAR(mmd2_gaussian(x, y, 2), direct, 1e-9);
}

// Between N(0, I) and N(m, I) in d dimensions, kernel of bandwidth h:
// 2 (h^2/(h^2 + 2))^(d/2) (1 - exp(-|m|^2/(2 (h^2 + 2)))). 40 repetitions, 4 standard errors.
TEST(Mmd, ClosedFormForGaussians) {
  const double h2 = 1.5 * 1.5;
  const at::Tensor shift = at::tensor({0.6, -0.8, 0.0}, at::kDouble);
  const double exact = 2 * std::pow(h2 / (h2 + 2), 1.5) * (1 - std::exp(-1 / (2 * (h2 + 2))));
  std::vector<double> values;
  for (std::uint64_t i = 0; i < 40; ++i) {
    values.push_back(
        mmd2_gaussian(normal(100 + i, {200, 3}), normal(200 + i, {150, 3}) + shift, 1.5));
  }
  const Estimate found = mean_and_standard_error(at::tensor(values));
  EXPECT_NEAR(found.mean, exact, 4 * found.standard_error);
  EXPECT_GT(found.mean, 10 * found.standard_error);
}

// With 4 samples a set a biased estimate would be far above 0: 1000 repetitions, 4 standard errors.
TEST(Mmd, UnbiasedForEqualLaws) {
  std::vector<double> values;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    values.push_back(mmd2_polynomial(normal(2000 + i, {4, 3}), normal(4000 + i, {4, 3})));
  }
  const Estimate found = mean_and_standard_error(at::tensor(values));
  EXPECT_NEAR(found.mean, 0, 4 * found.standard_error);
  EXPECT_LT(found.standard_error, 0.5);
}

TEST(Mmd, KernelDistanceIsTheMeanOfSubsets) {
  const at::Tensor x = normal(1, {400, 8});
  const at::Tensor y = normal(2, {400, 8}) + 0.5;
  const Estimate found = kernel_distance(x, y, test_key(), 50, 100);
  EXPECT_EQ(found.count, 50);
  EXPECT_NEAR(found.mean, mmd2_polynomial(x, y), 4 * found.standard_error);
  // Subsets of the whole size are the whole.
  EXPECT_NEAR(kernel_distance(x, y, test_key(), 2, 400).mean, mmd2_polynomial(x, y), 1e-9);
  EXPECT_EQ(kernel_distance(x, y, test_key(), 5, 50).mean,
            kernel_distance(x, y, test_key(), 5, 50).mean);
}

TEST(Mmd, MedianDistanceByHand) {
  // Distances 1, 2, 3, 1, 2, 1 of 0, 1 and 2, 3: the lower median is 1.
  const at::Tensor a = at::tensor({0.0, 1.0}, at::kDouble).unsqueeze(1);
  EXPECT_EQ(median_distance(a, a + 2, test_key()), 1);
}

TEST(Mmd, RefusesWhatIsNoSampleSet) {
  const at::Tensor x = normal(1, {5, 3});
  EXPECT_THROW(mmd2_polynomial(x, normal(1, {5, 4})), Error);
  EXPECT_THROW(mmd2_polynomial(x, x.slice(0, 0, 1)), Error);
  EXPECT_THROW(mmd2_polynomial(x, x.to(at::kLong)), Error);
  EXPECT_THROW(mmd2_polynomial(x, x[0]), Error);
  EXPECT_THROW(mmd2_gaussian(x, x, 0), Error);
  at::Tensor missing = x.clone();
  missing[3][1] = NAN;
  try {
    mmd2_polynomial(x, missing);
    FAIL() << "a missing value was taken";
  } catch (const Error& error) {
    EXPECT_NE(error.expected().find("second set"), std::string::npos);
    EXPECT_NE(error.found().find("row 3"), std::string::npos);
  }
}

}  // namespace
}  // namespace calor::metric
