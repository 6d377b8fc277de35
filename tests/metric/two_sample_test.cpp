#include "calor/metric/two_sample.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

constexpr auto both = {TwoSampleClassifier::logistic, TwoSampleClassifier::mlp};

TEST(TwoSample, EqualLawsCannotBeToldApart) {
  for (const auto classifier : both) {
    const auto test = classifier_two_sample_test(normal(1, {3000, 6}), normal(2, {3000, 6}),
                                                 classifier, test_key());
    EXPECT_NEAR(test.accuracy, 0.5, 3 * test.standard_error);
    EXPECT_LT(std::abs(test.z), 3);
    EXPECT_EQ(test.trained, 3000);
    EXPECT_EQ(test.tested, 3000);
    EXPECT_NEAR(test.standard_error, 0.5 / std::sqrt(3000.0), 1e-4);
  }
}

// N(0, I) and N(m, I): no classifier is better than Phi(|m|/2), 0.841 for |m| = 2, and logistic
// regression attains it. Margin: 3 standard errors, for the mlp and 0.01 for what it overfits.
TEST(TwoSample, ShiftedLawsReachTheBestAccuracy) {
  const at::Tensor shift = at::tensor({1.2, 0.0, -1.6}, at::kDouble);
  const double best = 0.5 * std::erfc(-1 / std::sqrt(2.0));
  for (const auto classifier : both) {
    const auto test = classifier_two_sample_test(normal(3, {4000, 3}), normal(4, {4000, 3}) + shift,
                                                 classifier, test_key());
    const double overfitted = classifier == TwoSampleClassifier::mlp ? 0.01 : 0;
    EXPECT_GT(test.accuracy, 0.8);
    EXPECT_NEAR(test.accuracy, best, 3 * test.standard_error + overfitted);
    EXPECT_GT(test.z, 30);
  }
}

// Another variance is seen through the squares. For scales 1 and 3 on one axis the best rule is a
// threshold on |x|: at t with 3 phi(t) = phi(t/3), t^2 = (9/4) ln 3; accuracy
// 1/2 + erf(t/sqrt 2)/2 - erf(t/(3 sqrt 2))/2 = 0.742.
TEST(TwoSample, VariancesAreSeen) {
  const at::Tensor a = normal(5, {4000, 1});
  const at::Tensor b = normal(6, {4000, 1}) * 3;
  const double t = std::sqrt(2.25 * std::log(3.0));
  const double best =
      0.5 + 0.5 * (std::erf(t / std::sqrt(2.0)) - std::erf(t / (3 * std::sqrt(2.0))));
  for (const auto classifier : both) {
    const auto test = classifier_two_sample_test(a, b, classifier, test_key());
    EXPECT_NEAR(test.accuracy, best, 3 * test.standard_error + 0.01);
  }
}

// Equal marginals, correlation 0.95 and -0.95: only the mlp can see it.
TEST(TwoSample, DependenceIsSeenByTheMlpOnly) {
  const auto correlated = [](std::uint64_t seed, double sign) {
    const at::Tensor x = normal(seed, {3000, 2});
    const at::Tensor second = sign * 0.95 * x.select(1, 0) + std::sqrt(1 - 0.9025) * x.select(1, 1);
    return at::stack({x.select(1, 0), second}, 1);
  };
  const at::Tensor a = correlated(7, 1);
  const at::Tensor b = correlated(8, -1);
  const auto linear = classifier_two_sample_test(a, b, TwoSampleClassifier::logistic, test_key());
  EXPECT_NEAR(linear.accuracy, 0.5, 3 * linear.standard_error);
  const auto deep = classifier_two_sample_test(a, b, TwoSampleClassifier::mlp, test_key());
  EXPECT_GT(deep.accuracy, 0.85);
}

TEST(TwoSample, IsAFunctionOfItsKey) {
  const at::Tensor a = normal(9, {500, 3});
  const at::Tensor b = normal(10, {700, 3}) + 0.3;
  for (const auto classifier : both) {
    const auto first = classifier_two_sample_test(a, b, classifier, test_key());
    EXPECT_EQ(classifier_two_sample_test(a, b, classifier, test_key()).accuracy, first.accuracy);
    EXPECT_EQ(first.tested, 500);
  }
  const auto other = [&](std::uint64_t seed) {
    return classifier_two_sample_test(a, b, TwoSampleClassifier::logistic, test_key(seed)).accuracy;
  };
  EXPECT_NE(other(1), other(2));
}

TEST(TwoSample, OddInputs) {
  // A constant column and separable sets.
  const at::Tensor a = at::cat({normal(1, {50, 1}), at::ones({50, 1}, at::kDouble)}, 1);
  for (const auto classifier : both) {
    const auto test = classifier_two_sample_test(a, a + 100, classifier, test_key());
    EXPECT_EQ(test.accuracy, 1);
    EXPECT_EQ(test.standard_error, 0);
  }
  EXPECT_THROW(
      classifier_two_sample_test(a.slice(0, 0, 3), a, TwoSampleClassifier::mlp, test_key()), Error);
}

}  // namespace
}  // namespace calor::metric
