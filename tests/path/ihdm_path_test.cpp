// Inverse heat dissipation's path: its levels of blur, that the blur is one, and the times at which
// it is trained.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/path/paths.h"
#include "calor/path/picture_space.h"
#include "calor/path/training_times.h"

namespace calor::path {
namespace {

at::Tensor scalar(double value) { return at::full({1}, value, at::kDouble); }

double a_of(const SpectralPath& path, double t, double lambda) {
  return path.log_a(scalar(t), scalar(lambda)).exp().item<double>();
}

TEST(IhdmPath, LevelsAreSpacedLogarithmically) {
  constexpr std::int64_t count = 100;
  const auto path = ihdm_path({.levels = count});
  EXPECT_EQ(path->levels(), count);
  for (const double lambda : {0.0, 0.01, 2.5}) {
    EXPECT_EQ(a_of(*path, 1, lambda), 1);
    for (int k = 1; k <= count; ++k) {
      const double sigma = 0.5 * std::pow(20 / 0.5, (k - 1) / 99.0);
      const double t = 1 - static_cast<double>(k) / count;
      const double wanted = std::exp(-lambda * sigma * sigma / 2);
      EXPECT_NEAR(a_of(*path, t, lambda), wanted, 1e-12) << k;
      // As they are trained: times in fp32.
      const at::Tensor single = at::full({1}, t, at::kFloat);
      const at::Tensor a = path->log_a(single, scalar(lambda).to(at::kFloat)).exp();
      EXPECT_NEAR(a.item<double>(), wanted, 1e-4) << k;
    }
  }
  for (const double t : {0.0, 0.3, 1.0}) {
    EXPECT_NEAR(path->log_s(scalar(t), scalar(1)).exp().item<double>(), 0.02, 1e-16);
  }
  EXPECT_NEAR(next_level(*path, scalar(0.25)).item<double>(), 0.26, 1e-15);
  EXPECT_EQ(next_level(*path, scalar(0.995)).item<double>(), 1);
}

TEST(IhdmPath, SlopesAreDerivatives) {
  const auto path = ihdm_path({.levels = 10, .sigma_max = 8});
  for (const double lambda : {0.02, 0.7}) {
    for (const double t : {0.05, 0.33, 0.71, 0.93, 0.98}) {
      constexpr double h = 1e-5;
      const double difference = (a_of(*path, t + h, lambda) - a_of(*path, t - h, lambda)) / (2 * h);
      const Slopes slopes = path->slopes(scalar(t), scalar(lambda));
      EXPECT_NEAR(slopes.a.item<double>(), difference, 1e-7 + 1e-6 * std::abs(difference)) << t;
      EXPECT_EQ(slopes.s.item<double>(), 0);
    }
  }
}

// Along the last dimension, with half-sample reflection: .. x1 x0 | x0 x1 ..
at::Tensor convolved(const at::Tensor& x, double sigma) {
  constexpr std::int64_t reach = 16;
  const at::Tensor k = at::arange(-reach, reach + 1, at::kDouble);
  at::Tensor kernel = (-k.square() / (2 * sigma * sigma)).exp();
  kernel = kernel / kernel.sum();
  const at::Tensor padded = at::cat(
      {x.narrow(-1, 0, reach).flip(-1), x, x.narrow(-1, x.size(-1) - reach, reach).flip(-1)}, -1);
  return (padded.unfold(-1, 2 * reach + 1, 1) * kernel).sum(-1);
}

// The transfer function of the sampled kernel differs from that of the Gaussian by its aliases,
// exp(-(2 pi - w)^2 sigma^2 / 2) < 3e-9 at 2 pixels.
TEST(IhdmPath, TheStrongestLevelIsAGaussianBlurOfThePicture) {
  const PictureSpace space(ihdm_path({.levels = 1, .sigma_max = 2}), 24, 20, at::kDouble, at::kCPU);
  const at::Tensor x =
      at::randn({2, 3, 24, 20}, at::detail::createCPUGenerator(5), at::TensorOptions(at::kDouble));
  const at::Tensor a = space.path->log_a(at::zeros({1, 1, 1, 1}, at::kDouble), space.lambda).exp();
  const at::Tensor rows = convolved(x, 2);
  const at::Tensor expected = convolved(rows.transpose(2, 3), 2).transpose(2, 3);
  EXPECT_LE((space.multiply(a, x) - expected).abs().max().item<double>(), 1e-7);
}

TEST(IhdmPath, TrainingTimesAreTheLevels) {
  constexpr std::int64_t levels = 7, n = 70'000;
  TimeOptions options;
  options.law = TimeLaw::uniform;
  const TrainingTimes times(options, 1, levels);
  std::vector<RandomKey> keys;
  const RandomKey key = random_key(0, RandomUse::test);
  for (std::int64_t i = 0; i < n; ++i) keys.push_back(key.child(static_cast<std::uint64_t>(i)));
  const at::Tensor k = times.draw(keys) * levels;
  EXPECT_LE((k - k.round()).abs().max().item<double>(), 1e-5);
  const at::Tensor counts = at::bincount(k.round().to(at::kLong), {}, levels);
  ASSERT_EQ(counts.size(0), levels);  // none at the data itself
  // Five standard deviations of a binomial count.
  const double margin = 5 * std::sqrt(n * (1.0 / levels) * (1 - 1.0 / levels));
  EXPECT_LE((counts - n / levels).abs().max().item<double>(), margin);
  const auto nodes = times.quadrature();
  EXPECT_NEAR((nodes.t * nodes.probability).sum().item<double>(), 3.0 / 7, 1e-3);
}

TEST(IhdmPath, LevelsInTheWrongOrderAreRefused) {
  PathOptions options;
  options.kind = PathKind::ihdm;
  options.sigma_max = 0.4;
  try {
    make_path(options, 8, 8);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(error.found().find("0.4 and 0.5"), std::string::npos) << error.found();
  }
}

}  // namespace
}  // namespace calor::path
