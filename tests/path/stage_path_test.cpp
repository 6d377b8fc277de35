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
      {InnerPath::linear, {.free = false, .gamma = 0.3, .start = 0.5, .rho = 0.7}},
      {InnerPath::trigonometric, {.free = false, .gamma = 0.3, .start = 0.5, .rho = 0.7}},
      {InnerPath::ou, {.free = false, .gamma = 0.3, .start = 0.5, .rho = 0.7}},
      {InnerPath::linear, {.free = true, .gamma = 0, .start = 0.5, .rho = 0.7}},
  };
  return all;
}

at::Tensor scalar(double value) { return at::full({1}, value, at::kDouble); }

double a_of(const SpectralPath& path, double t, double lambda = 0) {
  return path.log_a(scalar(t), scalar(lambda)).exp().item<double>();
}
double s_of(const SpectralPath& path, double t, double lambda = 0) {
  return path.log_s(scalar(t), scalar(lambda)).exp().item<double>();
}

// A step's numbers at one frequency.
struct AtFrequency {
  double alpha, beta, kept, spread;
};
AtFrequency at_frequency(const StageStep& step, double lambda = 0) {
  const auto value = [&](const at::Tensor& tensor) { return tensor.item<double>(); };
  return {.alpha = value(step.alpha(scalar(lambda))),
          .beta = value(step.beta(scalar(lambda))),
          .kept = value(step.kept(scalar(lambda))),
          .spread = value(step.spread(scalar(lambda)))};
}

constexpr double frequencies[] = {0, 0.3, 4};

// Left end x_l, right end alpha x_l + beta g (plus sigma_min x_l).
TEST(StagePath, ConnectsTheTwoLaws) {
  for (const Case& c : cases()) {
    const auto path = stage_path(c.inner, c.step, c.sigma_min);
    for (const double lambda : frequencies) {
      const AtFrequency step = at_frequency(c.step, lambda);
      EXPECT_NEAR(a_of(*path, 1, lambda), 1, 1e-15) << path->name();
      EXPECT_NEAR(s_of(*path, 1, lambda), 0, 1e-15) << path->name();
      EXPECT_NEAR(a_of(*path, 0, lambda), step.alpha + c.sigma_min, 1e-15) << path->name();
      EXPECT_NEAR(s_of(*path, 0, lambda), step.beta, 1e-15) << path->name();
    }
  }
}

// A path's velocity and slopes against the difference of z = A x + S e.
void expect_derivative(const SpectralPath& path, double lambda) {
  constexpr double x = 0.7, e = -1.3, h = 1e-5;
  const auto z = [&](double t) { return a_of(path, t, lambda) * x + s_of(path, t, lambda) * e; };
  for (const double t : {0.05, 0.3, 0.6, 0.9}) {
    const double difference = (z(t + h) - z(t - h)) / (2 * h);
    const auto v = path.velocity(scalar(t), scalar(lambda), 0);
    const double velocity = v.on_z.item<double>() * z(t) + v.on_x().item<double>() * x;
    EXPECT_NEAR(velocity, difference, 1e-8) << path.name() << " at " << t;
    const auto slopes = path.slopes(scalar(t), scalar(lambda));
    EXPECT_NEAR(slopes.a.item<double>() * x + slopes.s.item<double>() * e, difference, 1e-8)
        << path.name() << " at " << t;
  }
}

TEST(StagePath, VelocityAndSlopesAreTheDerivative) {
  for (const Case& c : cases()) {
    const auto path = stage_path(c.inner, c.step, c.sigma_min);
    path->set_noise_scale(1.5);
    for (const double lambda : frequencies) expect_derivative(*path, lambda);
  }
}

TEST(GlobalStage, VelocityAndSlopesAreTheDerivative) {
  for (const Case& c : cases()) {
    if (c.sigma_min > 0) continue;
    const auto path = global_stage_path(c.inner, c.step);
    path->set_noise_scale(1.5);
    for (const double lambda : frequencies) expect_derivative(*path, lambda);
  }
}

// Given the data x_0, the point is A x_l + S g with x_l = kept x_0 + spread g': the same law.
TEST(GlobalStage, IsTheLocalOneOnTheExactLaw) {
  for (const Case& c : cases()) {
    if (c.sigma_min > 0) continue;
    const auto local = stage_path(c.inner, c.step);
    const auto global = global_stage_path(c.inner, c.step);
    for (const double lambda : frequencies) {
      const AtFrequency step = at_frequency(c.step, lambda);
      for (const double t : {0.1, 0.5, 1.0}) {
        const double a = a_of(*local, t, lambda), s = s_of(*local, t, lambda);
        EXPECT_NEAR(a_of(*global, t, lambda), a * step.kept, 1e-14);
        EXPECT_NEAR(s_of(*global, t, lambda), std::hypot(a * step.spread, s), 1e-14);
      }
    }
  }
}

// The best prediction of the data is x^_0 = [I + (S_tot^2/S^2)(A x^_l - I)]/A_tot from that of the
// left end, and both say the same velocity. Data N(0, C): everything is linear.
TEST(GlobalStage, SaysTheSameVelocityAsTheLocalPrediction) {
  constexpr double c = 0.4, point = 0.9;
  for (const double lambda : frequencies) {
    const StageStep step{.free = false, .gamma = 0.3, .start = 0.5, .rho = 0.7};
    const auto local = stage_path(InnerPath::linear, step);
    const auto global = global_stage_path(InnerPath::linear, step);
    const AtFrequency numbers = at_frequency(step, lambda);
    const double left = numbers.kept * numbers.kept * c + numbers.spread * numbers.spread;
    for (const double t : {0.2, 0.5, 0.8}) {
      const auto best = [&](const SpectralPath& path, double variance) {
        const double a = a_of(path, t, lambda), s = s_of(path, t, lambda);
        return a * variance / (a * a * variance + s * s) * point;
      };
      const double a = a_of(*local, t, lambda), s = s_of(*local, t, lambda);
      const double total = s_of(*global, t, lambda);
      const double x_l = best(*local, left), x_0 = best(*global, c);
      EXPECT_NEAR(x_0, (point + total * total / (s * s) * (a * x_l - point)) / (a * numbers.kept),
                  1e-12);
      const auto velocity = [&](const SpectralPath& path, double clean) {
        const auto v = path.velocity(scalar(t), scalar(lambda), 0);
        return v.on_z.item<double>() * point + v.on_x().item<double>() * clean;
      };
      EXPECT_NEAR(velocity(*local, x_l), velocity(*global, x_0), 1e-12);
    }
  }
}

ChainPath chain(double rho) {
  std::vector<std::shared_ptr<const SpectralPath>> paths;
  double start = 0;
  for (const double gamma : {0.1, 0.3}) {
    const StageStep step{.free = false, .gamma = gamma, .start = start, .rho = rho};
    paths.push_back(global_stage_path(InnerPath::linear, step));
    start += gamma;
  }
  paths.push_back(
      global_stage_path(InnerPath::linear, {.free = true, .gamma = 0, .start = start, .rho = rho}));
  return ChainPath(std::move(paths));
}

TEST(ChainPath, RunsOnOverTheBorders) {
  for (const double rho : {0.0, 0.7}) {
    const ChainPath path = chain(rho);
    EXPECT_EQ(path.depends_on_frequency(), rho > 0);
    for (const double lambda : frequencies) {
      EXPECT_NEAR(a_of(path, 1, lambda), 1, 1e-15);
      EXPECT_NEAR(s_of(path, 0, lambda), 1, 1e-15);
      // At the border between the first two stages: the OU process at its time .1.
      const double time = 0.1 * (1 + rho * lambda);
      for (const double side : {-1e-9, 1e-9}) {
        EXPECT_NEAR(a_of(path, 2.0 / 3 + side, lambda), std::exp(-time), 1e-8);
        EXPECT_NEAR(s_of(path, 2.0 / 3 + side, lambda), std::sqrt(-std::expm1(-2 * time)), 1e-8);
      }
      double last = -INFINITY;
      for (int k = 1; k < 60; ++k) {
        const double now = log_snr(path, scalar(k / 60.0), scalar(lambda)).item<double>();
        EXPECT_GT(now, last) << k;
        last = now;
      }
      expect_derivative(path, lambda);
    }
    EXPECT_EQ(path.place(0.1).stage, 2U);
    EXPECT_EQ(path.place(2.0 / 3).stage, 0U);  // a border belongs to the stage towards data
    EXPECT_NEAR(path.place(0.5).t, 0.5, 1e-15);
    EXPECT_EQ(path.place(1).stage, 0U);
    EXPECT_EQ(path.place(1).t, 1);
  }
}

// One step after another is the OU process itself: kept and spread compose.
TEST(StageStep, StepsComposeToTheProcess) {
  for (const double rho : {0.0, 0.7}) {
    for (const double lambda : frequencies) {
      const auto first = at_frequency({.gamma = 0.2, .start = 0, .rho = rho}, lambda);
      const auto second = at_frequency({.gamma = 0.5, .start = 0.2, .rho = rho}, lambda);
      const auto third = at_frequency({.free = true, .start = 0.7, .rho = rho}, lambda);
      EXPECT_NEAR(first.alpha * second.alpha, third.kept, 1e-15);
      const double variance = std::pow(second.alpha * first.beta, 2) + std::pow(second.beta, 2);
      EXPECT_NEAR(variance, std::pow(third.spread, 2), 1e-15);
      EXPECT_EQ(third.alpha, 0);
      EXPECT_EQ(third.beta, 1);
    }
  }
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
      // The heat-preconditioned process contracts every frequency at least as fast.
      const auto step = at_frequency({.gamma = gamma, .rho = variance > 1 ? 0.7 : 0}, 1.3);
      const double next = std::pow(step.alpha, 2) * p + std::pow(step.beta, 2);
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
