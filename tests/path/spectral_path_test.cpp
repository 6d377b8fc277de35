#include "calor/path/spectral_path.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/path/paths.h"
#include "calor/path/training_times.h"
#include "calor/spectral/dct.h"

namespace calor::path {
namespace {

std::vector<std::unique_ptr<SpectralPath>> all_paths() {
  std::vector<std::unique_ptr<SpectralPath>> paths;
  paths.push_back(heat_path("linear", 0));
  paths.push_back(heat_path("heat", 0.5));
  paths.push_back(heat_path("heat", 2));
  paths.push_back(trigonometric_path());
  paths.push_back(cosine_path());
  paths.push_back(variance_preserving_path(0.1, 20));
  paths.push_back(blurring_path(20, 0.001));
  return paths;
}

at::Tensor scalar(double value) { return at::full({1}, value, at::kDouble); }

// Frequencies of a 28-pixel side, coarse to fine.
const at::Tensor& frequencies() {
  static const at::Tensor lambda = spectral::laplacian_eigenvalues(28, 28).flatten();
  return lambda;
}

TEST(SpectralPath, TableOfSchedules) {
  const at::Tensor t = scalar(0.3);
  const at::Tensor lambda = scalar(2);
  const auto a = [&](const SpectralPath& p) { return p.log_a(t, lambda).exp().item<double>(); };
  const auto s = [&](const SpectralPath& p) { return p.log_s(t, lambda).exp().item<double>(); };
  const double pi = std::acos(-1.0);
  EXPECT_NEAR(a(*heat_path("heat", 0.5)), 0.3 * std::pow(0.3, 0.5 * 2), 1e-15);
  EXPECT_NEAR(s(*heat_path("heat", 0.5)), 0.7, 1e-15);
  EXPECT_NEAR(a(*trigonometric_path()), std::sin(pi * 0.15), 1e-15);
  EXPECT_NEAR(s(*trigonometric_path()), std::cos(pi * 0.15), 1e-15);
  const auto bar = [pi](double u) { return std::pow(std::cos(pi / 2 * (u + 0.008) / 1.008), 2); };
  EXPECT_NEAR(a(*cosine_path()), std::sqrt(bar(0.7) / bar(0)), 1e-15);
  EXPECT_NEAR(s(*cosine_path()), std::sqrt(1 - bar(0.7) / bar(0)), 1e-15);
  const double vp = std::exp(-0.49 * 19.9 / 4 - 0.7 * 0.05);
  EXPECT_NEAR(a(*variance_preserving_path(0.1, 20)), vp, 1e-15);
  EXPECT_NEAR(s(*variance_preserving_path(0.1, 20)), std::sqrt(1 - vp * vp), 1e-15);
  const double c0 = std::atan(std::exp(-5.0));
  const double phi = c0 + (std::atan(std::exp(5.0)) - c0) * 0.7;
  const double sigma = 20 * std::pow(std::sin(pi * 0.35), 2);
  const double d = 0.999 * std::exp(-2 * sigma * sigma / 2) + 0.001;
  EXPECT_NEAR(a(*blurring_path(20, 0.001)), std::cos(phi) * d, 1e-15);
  EXPECT_NEAR(s(*blurring_path(20, 0.001)), std::sin(phi), 1e-15);
}

// dZ/dt against a fourth-order central difference of the path itself, for random X and E.
TEST(SpectralPath, VelocityIsTheDerivativeOfThePath) {
  const at::Tensor lambda = frequencies();
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor x = at::randn({lambda.size(0)}, generator, at::TensorOptions(at::kDouble));
  const at::Tensor e = at::randn({lambda.size(0)}, generator, at::TensorOptions(at::kDouble));
  for (const auto& path : all_paths()) {
    const auto z = [&](double t) {
      return path->log_a(scalar(t), lambda).exp() * x + path->log_s(scalar(t), lambda).exp() * e;
    };
    for (const double t : {0.05, 0.2, 0.5, 0.8, 0.95}) {
      const double h = 1e-3 * std::min(t, 1 - t);
      const at::Tensor difference =
          (8 * (z(t + h) - z(t - h)) - (z(t + 2 * h) - z(t - 2 * h))) / (12 * h);
      const auto v = path->velocity(scalar(t), lambda, 0);
      const at::Tensor velocity = v.on_z * z(t) + v.on_x() * x;
      const double error = ((velocity - difference).norm() / difference.norm()).item<double>();
      EXPECT_LE(error, 1e-7) << path->name() << " at t = " << t;
    }
  }
}

TEST(SpectralPath, EndsAreNoiseAndData) {
  const at::Tensor lambda = frequencies();
  for (const auto& path : all_paths()) {
    EXPECT_NEAR(path->log_a(scalar(1), lambda).exp().max().item<double>(), 1, 1e-4) << path->name();
    EXPECT_LE(path->log_a(scalar(0), lambda).exp().max().item<double>(), 7e-3) << path->name();
    EXPECT_NEAR(path->log_s(scalar(0), lambda).exp().max().item<double>(), 1, 1e-4) << path->name();
    EXPECT_LE(path->log_s(scalar(1), lambda).exp().max().item<double>(), 7e-3) << path->name();
  }
  // Exactly no noise, so that the integrator takes its last step as one of infinite length.
  EXPECT_TRUE(trigonometric_path()->log_s(scalar(1), lambda).isneginf().all().item<bool>());
  EXPECT_TRUE(cosine_path()->log_s(scalar(1), lambda).isneginf().all().item<bool>());
  EXPECT_TRUE(heat_path("heat", 0.5)->log_s(scalar(1), lambda).isneginf().all().item<bool>());
}

// The discrete schedule as it is defined: betas from the ratios of alpha_bar, at most .999, and
// alpha_bar again as the product of 1 - beta. Only the last of the 100 is cut.
TEST(SpectralPath, CosineAgreesWithTheHundredStepsOfDdpm) {
  const auto path = cosine_path();
  const auto wanted = [](int i) {
    const double c = std::cos((i / 100.0 + 0.008) / 1.008 * std::acos(-1.0) / 2);
    return c * c;
  };
  double bar = 1;
  int cut = 0;
  for (int i = 1; i <= 100; ++i) {
    const double beta = 1 - wanted(i) / wanted(i - 1);
    if (beta > 0.999) ++cut;
    bar *= 1 - std::min(beta, 0.999);
    const at::Tensor t = scalar((100 - i) / 100.0);
    const double a = path->log_a(t, scalar(0)).exp().item<double>();
    const double s = path->log_s(t, scalar(0)).exp().item<double>();
    EXPECT_NEAR(a / std::sqrt(bar), 1, 1e-11) << i;
    EXPECT_NEAR(s / std::sqrt(1 - bar), 1, 1e-11) << i;
  }
  EXPECT_EQ(cut, 1);
  // There the path stands still; A^2 + S^2 = 1 everywhere.
  EXPECT_EQ(path->log_a(scalar(0), scalar(0)).item<double>(),
            path->log_a(scalar(3e-4), scalar(0)).item<double>());
  EXPECT_EQ(path->slopes(scalar(3e-4), scalar(0)).a.item<double>(), 0);
  EXPECT_EQ(path->slopes(scalar(3e-4), scalar(0)).s.item<double>(), 0);
  const at::Tensor t = at::linspace(0, 1, 1001, at::kDouble);
  const at::Tensor sum =
      (2 * path->log_a(t, scalar(0))).exp() + (2 * path->log_s(t, scalar(0))).exp();
  EXPECT_LE((sum - 1).abs().max().item<double>(), 1e-14);
}

TEST(SpectralPath, NoiseScaleIsPartOfS) {
  PathOptions options;
  options.noise_scale = 2;
  const auto path = make_path(options, 28, 28);
  EXPECT_NEAR(path->log_s(scalar(0.25), frequencies()).exp().max().item<double>(), 1.5, 1e-14);
}

TEST(SpectralPath, ResolutionAwareBlurGrowsWithTheArea) {
  PathOptions options;
  options.a = 0.5;
  options.reference_size = 32;
  EXPECT_DOUBLE_EQ(make_path(options, 64, 64)->exact_blur_term(), 2);
  EXPECT_DOUBLE_EQ(make_path(options, 32, 16)->exact_blur_term(), 0.25);
  options.reference_size = 0;
  EXPECT_DOUBLE_EQ(make_path(options, 64, 64)->exact_blur_term(), 0.5);
}

TEST(SpectralPath, HeatWithoutBlurIsLinear) {
  const at::Tensor t = at::linspace(0.01, 0.99, 20, at::kDouble).unsqueeze(1);
  const auto linear = heat_path("linear", 0);
  const auto v = linear->velocity(t, frequencies(), 0);
  EXPECT_FALSE(linear->depends_on_frequency());
  EXPECT_TRUE(at::allclose(v.on_z, -1 / (1 - t)));
  EXPECT_TRUE(at::allclose(v.on_x(), 1 / (1 - t)));
}

TEST(TrainingTimes, QuadratureAgreesWithDraws) {
  TimeOptions options;
  options.mixture = 0.4;
  const TrainingTimes times(options, 10.9);
  std::vector<RandomKey> keys;
  const RandomKey key = random_key(0, RandomUse::test);
  constexpr std::int64_t n = 200'000;
  for (std::int64_t i = 0; i < n; ++i) keys.push_back(key.child(static_cast<std::uint64_t>(i)));
  const at::Tensor t = times.draw(keys).to(at::kDouble);
  const auto nodes = times.quadrature();
  EXPECT_NEAR(nodes.probability.sum().item<double>(), 1, 1e-12);
  for (const double power : {1.0, 2.0, 6.0}) {
    const double exact = (nodes.t.pow(power) * nodes.probability).sum().item<double>();
    // Five standard errors of the mean of the draws, and the quadrature's own error.
    const double margin = 5 * t.pow(power).std().item<double>() / std::sqrt(static_cast<double>(n));
    EXPECT_NEAR(t.pow(power).mean().item<double>(), exact, margin + 1e-4);
  }
}

// The effective sample share (E w)^2 / E w^2 of the top frequency under JiT's times, in the numbers
// that motivate the mixture: 1.5e-3 at a = .5, and .05 to .10 with mixture and balance.
TEST(TrainingTimes, MixtureRaisesTheShareOfTheTopFrequency) {
  const auto share = [](double a, double mixture) {
    TimeOptions options;
    options.mixture = mixture;
    const double lambda_max = 2 * std::pow(std::acos(-1.0) * 31 / 32, 2);
    const TrainingTimes times(options, 1 + a * lambda_max);
    const auto q = times.quadrature();
    const at::Tensor w =
        (1 / (1 - q.t).clamp_min(0.05) + a * lambda_max).square() * q.t.pow(2 * a * lambda_max);
    const double mean = (w * q.probability).sum().item<double>();
    return mean * mean / (w.square() * q.probability).sum().item<double>();
  };
  EXPECT_NEAR(share(0.5, 0) / 1.5e-3, 1, 0.35);
  EXPECT_GT(share(0.5, 1), 0.04);
  EXPECT_LT(share(0.5, 1), 0.12);
}

}  // namespace
}  // namespace calor::path
