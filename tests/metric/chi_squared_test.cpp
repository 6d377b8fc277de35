// The theory of local flow matching as a test: chi-squared against the integral that it is, what an
// Ornstein-Uhlenbeck step takes from it, and that the flow which inverts the steps keeps it.
#include "calor/metric/chi_squared.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "calor/path/stage_path.h"
#include "calor/solve/ode.h"
#include "calor/spectral/dct.h"

namespace calor::metric {
namespace {

at::Tensor numbers(std::vector<double> values) { return at::tensor(values, at::kDouble); }

double density(double x, double mean, double variance) {
  return std::exp(-(x - mean) * (x - mean) / (2 * variance)) / std::sqrt(2 * M_PI * variance);
}

// E_Q (dP/dQ)^2 - 1 by the trapezoid rule, which is exact to rounding for such integrands.
double by_integration(double p, double q, double mean) {
  double sum = 0;
  constexpr double step = 0.01;
  for (double x = -60; x <= 60; x += step) {
    const double ratio = std::exp(2 * std::log(density(x, mean, p)) - std::log(density(x, 0, q)));
    if (std::isfinite(ratio)) sum += ratio * step;
  }
  return sum - 1;
}

TEST(ChiSquared, IsTheIntegral) {
  for (const auto& [p, q, mean] : std::vector<std::array<double, 3>>{
           {1, 1, 0}, {1.5, 1, 0}, {0.3, 1, 0}, {0.7, 0.6, 0}, {1.2, 1, 0.4}, {0.5, 2, -1}}) {
    const double exact = chi_squared(numbers({p}), numbers({q}), numbers({mean}));
    const double integral = by_integration(p, q, mean);
    EXPECT_NEAR(exact, integral, 1e-9 * (1 + integral)) << p << " " << q << " " << mean;
    if (mean == 0) {
      EXPECT_NEAR(exact, q / std::sqrt(p * (2 * q - p)) - 1, 1e-13 * (1 + exact));
    }
  }
}

TEST(ChiSquared, ModesMultiply) {
  const at::Tensor p = numbers({1.5, 0.3, 0.9}), q = numbers({1, 0.8, 1.1}), m = numbers({0, 1, 2});
  double product = 1;
  for (int i = 0; i < 3; ++i) product *= 1 + chi_squared(p[i], q[i], m[i]);
  EXPECT_NEAR(chi_squared(p, q, m) / (product - 1), 1, 1e-13);
}

TEST(ChiSquared, EndsAreWhatTheyAre) {
  EXPECT_EQ(chi_squared(numbers({2}), numbers({1})), std::numeric_limits<double>::infinity());
  EXPECT_EQ(chi_squared(numbers({0.5, 7}), numbers({1, 1})),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(chi_squared(numbers({1.25}), numbers({1.25})), 0);
  // Laws that are nearly equal: (p/q - 1)^2 / 2, to all digits.
  EXPECT_NEAR(chi_squared(numbers({1 + 1e-7}), numbers({1})) / 5e-15, 1, 1e-7);
}

// A law per frequency of an 8 x 8 picture, with variances below 2.
struct Law {
  at::Tensor variance, mean;
};
Law some_law() {
  const auto generator = at::detail::createCPUGenerator(1);
  const auto options = at::TensorOptions(at::kDouble);
  return {.variance = 0.05 + 1.4 * at::rand({8, 8}, generator, options),
          .mean = 0.2 * at::randn({8, 8}, generator, options)};
}

at::Tensor frequencies() { return spectral::laplacian_eigenvalues(8, 8); }

double to_noise(const Law& law) {
  return chi_squared(law.variance, at::ones_like(law.variance), law.mean);
}

Law after(const path::StageStep& step, const Law& law) {
  const at::Tensor alpha = step.alpha(frequencies()), beta = step.beta(frequencies());
  return {.variance = alpha.square() * law.variance + beta.square(), .mean = alpha * law.mean};
}

// Every step contracts by e^(-2 gamma), the heat-preconditioned ones (rho > 0), too.
TEST(ChiSquared, EveryOrnsteinUhlenbeckStepContracts) {
  for (const double rho : {0.0, 0.3, 2.0}) {
    Law law = some_law();
    double before = to_noise(law);
    ASSERT_TRUE(std::isfinite(before));
    for (const double gamma : {0.025, 0.05, 0.1, 0.4, 1.0}) {
      law = after({.free = false, .gamma = gamma, .start = 0, .rho = rho}, law);
      const double now = to_noise(law);
      EXPECT_LE(now, std::exp(-2 * gamma) * before) << rho << " " << gamma;
      EXPECT_GT(now, 0);
      before = now;
    }
  }
}

// The factor is the best there is: a small shift of the mean contracts by no more. At lambda > 0
// and rho > 0 it contracts by e^(-2 theta gamma).
TEST(ChiSquared, TheFactorIsSharp) {
  const at::Tensor lambda = numbers({0.8});
  for (const double rho : {0.0, 0.5}) {
    const path::StageStep step{.free = false, .gamma = 0.2, .start = 0, .rho = rho};
    const at::Tensor one = numbers({1}), shift = numbers({1e-3});
    const double factor =
        chi_squared(one, one, step.alpha(lambda) * shift) / chi_squared(one, one, shift);
    EXPECT_NEAR(factor / std::exp(-2 * 0.2 * (1 + rho * 0.8)), 1, 1e-6);
  }
}

// A chain on Gaussian coefficients without means. Given the law at a stage's left end, variance p,
// the law on the way has the variance c = A^2 p + S^2 and the velocity c'/(2c) x; `error` is added
// to its slope.
class GaussianStage {
 public:
  GaussianStage(path::InnerPath inner, const path::StageStep& step, at::Tensor left, double error)
      : path_(path::stage_path(inner, step)), left_(std::move(left)), error_(error) {}

  // dx/dt per unit of x at times t = 1 - s, [modes].
  at::Tensor slope(double t) const {
    const at::Tensor time = at::full({1}, t, at::kDouble), lambda = frequencies().flatten();
    const path::Slopes d = path_->slopes(time, lambda);
    const at::Tensor a = path_->log_a(time, lambda).exp(), s = path_->log_s(time, lambda).exp();
    return (a * d.a * left_ + s * d.s) / (a.square() * left_ + s.square()) + error_;
  }

  // States [1, modes] carried from one end to the other, t = 1 left, towards data.
  at::Tensor carry(const at::Tensor& x, double from, double to) const {
    solve::OdeOptions options;
    options.rtol = options.atol = 1e-13;
    const auto derivative = [this](const at::Tensor& t, const at::Tensor& y) {
      return slope(t.flatten()[0].item<double>()) * y;
    };
    return solve::integrate(derivative, x, from, to, options).y;
  }

 private:
  std::unique_ptr<path::SpectralPath> path_;
  at::Tensor left_;
  double error_;
};

// Bijections keep chi-squared: the data against what is generated from noise is what the pushed
// data is against noise, whatever the stages' errors.
TEST(ChiSquared, TheFlowKeepsIt) {
  for (const double error : {0.0, 0.02, -0.1}) {
    at::Tensor pushed = at::ones({1, 64}, at::kDouble);     // standard deviations over the data's
    at::Tensor generated = at::ones({1, 64}, at::kDouble);  // standard deviations from noise
    const at::Tensor data = some_law().variance.flatten();
    std::vector<GaussianStage> stages;
    at::Tensor law = data;
    for (const double gamma : {0.1, 0.3}) {
      const path::StageStep step{.free = false, .gamma = gamma, .start = 0, .rho = 0.2};
      stages.emplace_back(path::InnerPath::linear, step, law, error);
      pushed = stages.back().carry(pushed, 1, 0);
      law = pushed[0].square() * data;
    }
    for (std::size_t n = stages.size(); n-- > 0;) generated = stages[n].carry(generated, 0, 1);
    const at::Tensor one = at::ones_like(data);
    const double of_generated = chi_squared(data, generated[0].square());
    const double of_pushed = chi_squared(law, one);
    EXPECT_GT(of_pushed, 1e-3);
    EXPECT_NEAR(of_generated / of_pushed, 1, 1e-10) << error;
    if (error != 0) continue;
    // And exact stages push by the OU steps themselves, so chi-squared has contracted.
    const at::Tensor lambda = frequencies().flatten();
    const at::Tensor kept = (-2 * (1 + 0.2 * lambda) * 0.4).exp();
    EXPECT_LE((law - (1 + kept * (data - 1))).abs().max().item<double>(), 1e-10);
    EXPECT_LE(of_pushed, std::exp(-2 * 0.4) * chi_squared(data, one));
  }
}

// With a free last stage all of it is the stages' errors, and it grows with their square (the bound
// of the theory, the root of the error, is far above).
TEST(ChiSquared, ErrorsOfTheStagesCountSquared) {
  const auto end = [](double error) {
    const at::Tensor data = some_law().variance.flatten();
    at::Tensor law = data;
    for (const bool free : {false, false, true}) {
      const path::StageStep step{.free = free, .gamma = free ? 0 : 0.3, .start = 0};
      const GaussianStage stage(path::InnerPath::linear, step, law, error);
      law = law * stage.carry(at::ones({1, 64}, at::kDouble), 1, 0)[0].square();
    }
    return chi_squared(law, at::ones_like(law));
  };
  EXPECT_LE(end(0), 1e-18);
  EXPECT_NEAR(std::log2(end(2e-3) / end(1e-3)), 2, 0.02);
  EXPECT_LT(end(1e-2), std::sqrt(1e-2));
}

}  // namespace
}  // namespace calor::metric
