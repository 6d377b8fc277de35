#include "calor/path/stage_path.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "calor/core/error.h"

namespace calor::path {
namespace {

struct Case {
  InnerPath inner;
  StageStep step;
  double sigma_min = 0;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {InnerPath::linear, {.free = false, .gamma = 0.3, .start = 0.5}},
      {InnerPath::linear, {.free = true, .gamma = 0, .start = 0.5}},
      {InnerPath::linear, {.free = false, .gamma = 0.3, .start = 0}, 0.01},
      {InnerPath::trigonometric, {.free = false, .gamma = 0.3, .start = 0.5}},
      {InnerPath::trigonometric, {.free = true, .gamma = 0, .start = 0.5}},
      {InnerPath::ou, {.free = false, .gamma = 0.3, .start = 0.5}},
  };
  return all;
}

at::Tensor scalar(double value) { return at::full({1}, value, at::kDouble); }

double a_of(const SpectralPath& path, double t) {
  return path.log_a(scalar(t), scalar(0)).exp().item<double>();
}
double s_of(const SpectralPath& path, double t) {
  return path.log_s(scalar(t), scalar(0)).exp().item<double>();
}

// Left end x_l, right end alpha x_l + beta g (plus sigma_min x_l).
TEST(StagePath, ConnectsTheTwoLaws) {
  for (const Case& c : cases()) {
    const auto path = stage_path(c.inner, c.step, c.sigma_min);
    EXPECT_NEAR(a_of(*path, 1), 1, 1e-15) << path->name();
    EXPECT_NEAR(s_of(*path, 1), 0, 1e-15) << path->name();
    EXPECT_NEAR(a_of(*path, 0), c.step.alpha() + c.sigma_min, 1e-15) << path->name();
    EXPECT_NEAR(s_of(*path, 0), c.step.beta(), 1e-15) << path->name();
  }
}

TEST(StagePath, VelocityAndSlopesAreTheDerivative) {
  constexpr double x = 0.7;
  constexpr double e = -1.3;
  constexpr double h = 1e-5;
  for (const Case& c : cases()) {
    const auto path = stage_path(c.inner, c.step, c.sigma_min);
    path->set_noise_scale(1.5);
    const auto z = [&](double t) { return a_of(*path, t) * x + s_of(*path, t) * e; };
    for (const double t : {0.05, 0.3, 0.6, 0.9}) {
      const double difference = (z(t + h) - z(t - h)) / (2 * h);
      const auto v = path->velocity(scalar(t), scalar(0), 0);
      const double velocity = v.on_z.item<double>() * z(t) + v.on_x().item<double>() * x;
      EXPECT_NEAR(velocity, difference, 1e-8) << path->name() << " at " << t;
      const auto slopes = path->slopes(scalar(t), scalar(0));
      EXPECT_NEAR(slopes.a.item<double>() * x + slopes.s.item<double>() * e, difference, 1e-8)
          << path->name() << " at " << t;
    }
  }
}

// One step after another is the OU process itself: kept and spread compose.
TEST(StageStep, StepsComposeToTheProcess) {
  const StageStep first{.free = false, .gamma = 0.2, .start = 0};
  const StageStep second{.free = false, .gamma = 0.5, .start = 0.2};
  const StageStep third{.free = true, .gamma = 0, .start = 0.7};
  EXPECT_NEAR(first.alpha() * second.alpha(), third.kept(), 1e-15);
  const double variance = std::pow(second.alpha() * first.beta(), 2) + std::pow(second.beta(), 2);
  EXPECT_NEAR(variance, std::pow(third.spread(), 2), 1e-15);
}

// The energy of the marginal velocity for unit-variance Gaussian data,
//     integral of (A' A + S' S)^2 / (A^2 + S^2) ds,
// which is 0 for a process that leaves the law alone; the trigonometric path overshoots.
double marginal_energy(InnerPath inner, double gamma) {
  const auto path = stage_path(inner, {.free = false, .gamma = gamma, .start = 0});
  constexpr int nodes = 4000;
  double sum = 0;
  for (int k = 0; k < nodes; ++k) {
    const double t = (k + 0.5) / nodes;
    const auto slopes = path->slopes(scalar(t), scalar(0));
    const double a = a_of(*path, t);
    const double s = s_of(*path, t);
    const double rate = slopes.a.item<double>() * a + slopes.s.item<double>() * s;
    sum += rate * rate / (a * a + s * s) / nodes;
  }
  return sum;
}

TEST(StagePath, EnergyOfTheMarginalVelocity) {
  EXPECT_NEAR(marginal_energy(InnerPath::trigonometric, 0.025), 0.86, 0.005);
  EXPECT_NEAR(marginal_energy(InnerPath::linear, 0.025), 2e-4, 0.2e-4);
  EXPECT_NEAR(marginal_energy(InnerPath::trigonometric, 0.35), 0.48, 0.005);
  EXPECT_NEAR(marginal_energy(InnerPath::linear, 0.35), 0.031, 0.0005);
  EXPECT_NEAR(marginal_energy(InnerPath::ou, 0.35), 0, 1e-12);
}

// chi^2 of centred Gaussians of variances p and q: 1 + chi^2 = q / sqrt(p (2 q - p)). One OU step
// contracts it by e^(-2 gamma) or more.
TEST(StageStep, ContractsChiSquared) {
  const auto chi2 = [](double p) { return 1 / std::sqrt(p * (2 - p)) - 1; };
  for (const double variance : {0.1, 0.5, 1.5, 1.9}) {
    double p = variance;
    for (const double gamma : {0.05, 0.2, 0.5}) {
      const StageStep step{.free = false, .gamma = gamma, .start = 0};
      const double next = std::pow(step.alpha(), 2) * p + std::pow(step.beta(), 2);
      EXPECT_LE(chi2(next), std::exp(-2 * gamma) * chi2(p) + 1e-15);
      p = next;
    }
  }
}

TEST(StagePath, AFreeStageIsNoOuStep) {
  EXPECT_THROW(stage_path(InnerPath::ou, {.free = true, .gamma = 0, .start = 1}), Error);
}

}  // namespace
}  // namespace calor::path
