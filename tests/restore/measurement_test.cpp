// Measurements: each is what it says in pixels, and conditions a Gaussian as dense matrices do.
#include "calor/restore/measurement.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "tests/restore/support.h"

namespace calor::restore {
namespace {

constexpr std::int64_t height = 8, width = 12;

at::Tensor some_pictures(std::int64_t n, std::uint64_t seed = 1) {
  return at::randn({n, 2, height, width}, at::detail::createCPUGenerator(seed), at::kDouble);
}

at::Tensor some_variance(double least) {
  const at::Tensor i = at::arange(height, at::kDouble).square().unsqueeze(1);
  const at::Tensor j = at::arange(width, at::kDouble).square().unsqueeze(0);
  return least + 4 / (1 + i + j);
}

std::vector<RandomKey> keys_of(std::int64_t n) {
  std::vector<RandomKey> keys;
  const RandomKey key = random_key(3, RandomUse::test);
  for (std::int64_t i = 0; i < n; ++i) keys.push_back(key.child(static_cast<std::uint64_t>(i)));
  return keys;
}

// Half-sample reflection: .. 1 0 | 0 1 2 .. n-1 | n-1 n-2 ..
std::int64_t reflected(std::int64_t i, std::int64_t n) {
  const std::int64_t period = ((i % (2 * n)) + 2 * n) % (2 * n);
  return period < n ? period : 2 * n - 1 - period;
}

// One dimension of a blur, pixel by pixel.
at::Tensor blurred_rows(const at::Tensor& pictures, double deviation) {
  const auto radius = static_cast<std::int64_t>(std::ceil(4 * deviation));
  at::Tensor sum = at::zeros_like(pictures);
  double total = 0;
  for (std::int64_t m = -radius; m <= radius; ++m) {
    const double weight = std::exp(-static_cast<double>(m * m) / (2 * deviation * deviation));
    total += weight;
    std::vector<std::int64_t> from;
    for (std::int64_t i = 0; i < pictures.size(2); ++i) {
      from.push_back(reflected(i + m, pictures.size(2)));
    }
    sum += weight * pictures.index_select(2, at::tensor(from));
  }
  return sum / total;
}

TEST(Measurement, BlurIsAConvolutionWithHalfSampleReflection) {
  for (const double deviation : {0.4, 1.2, 5.0}) {  // the last kernel is wider than the picture
    MeasurementOptions options = test::measurement_options(Task::deblur, 0.1);
    options.blur = deviation;
    const at::Tensor x = some_pictures(2);
    const at::Tensor wanted =
        blurred_rows(blurred_rows(x, deviation).transpose(2, 3), deviation).transpose(2, 3);
    const at::Tensor found = make_measurement(options, height, width)->apply(x);
    EXPECT_LE((found - wanted).abs().max().item<double>(), 1e-12) << deviation;
  }
}

TEST(Measurement, AveragesAreThoseOfBlocksOfPixels) {
  const at::Tensor x = some_pictures(2);
  for (const std::int64_t factor : {2, 4}) {
    MeasurementOptions options = test::measurement_options(Task::superresolve, 0.1);
    options.factor = factor;
    const at::Tensor found = make_measurement(options, height, width)->apply(x);
    const at::Tensor wanted = at::avg_pool2d(x, factor);
    ASSERT_EQ(found.sizes(), wanted.sizes());
    EXPECT_LE((found - wanted).abs().max().item<double>(), 1e-12);
  }
  for (const auto& [n, factor] : {std::pair{12, 2}, {12, 3}, {28, 4}, {30, 5}}) {
    const at::Tensor fold = averaging_matrix(n, factor);
    EXPECT_EQ(fold.ne(0).sum(0).max().item<std::int64_t>(), 1) << n << " " << factor;
    const at::Tensor wanted = at::eye(n / factor, at::kDouble) / factor;  // M M^T = I/f
    EXPECT_LE((at::mm(fold, fold.t()) - wanted).abs().max().item<double>(), 1e-12);
    // Where the cosines go: folded at every multiple of m.
    const std::int64_t m = n / factor;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t to = std::abs(i - 2 * m * ((i + m) / (2 * m)));
      const at::Tensor column = fold.select(1, i);
      const bool lost = to == m || (to == 0 && i > 0);
      EXPECT_EQ(column.ne(0).sum().item<std::int64_t>(), lost ? 0 : 1);
      if (!lost) {
        EXPECT_NE(column[to].item<double>(), 0) << i;
      }
    }
  }
}

TEST(Measurement, TruncationKeepsTheLowestFrequencies) {
  MeasurementOptions options = test::measurement_options(Task::superresolve, 0.1);
  options.reduction = Reduction::dct;
  const auto measurement = make_measurement(options, height, width);
  const at::Tensor x = some_pictures(2);
  const at::Tensor y = measurement->apply(x);
  const spectral::Dct large(height, width, at::kDouble, at::kCPU);
  const spectral::Dct small(height / 2, width / 2, at::kDouble, at::kCPU);
  const at::Tensor kept = large.forward(x).narrow(2, 0, height / 2).narrow(3, 0, width / 2);
  EXPECT_LE((small.forward(y) - kept / 2).abs().max().item<double>(), 1e-12);
  EXPECT_LE((y.mean({2, 3}) - x.mean({2, 3})).abs().max().item<double>(), 1e-12);
}

TEST(Measurement, ConditionsAGaussianAsDenseMatricesDo) {
  for (const double sigma : {0.5, 0.01}) {
    for (const double least : {0.1, 1e-4}) {
      const at::Tensor variance = some_variance(least);
      const at::Tensor clean = some_pictures(3).narrow(1, 0, 1);
      const at::Tensor prior = test::pixel_covariance(variance);
      for (const auto& [name, measurement] : test::all_measurements(height, width, sigma)) {
        SCOPED_TRACE(name);
        const at::Tensor y = measurement->simulate(some_pictures(3, 2).narrow(1, 0, 1), keys_of(3));
        const auto [mean, covariance] =
            test::dense_posterior(test::dense(*measurement, height, width), sigma, clean.flatten(1),
                                  prior, test::measured_numbers(*measurement, y));
        const at::Tensor found = measurement->condition(clean, y, variance).flatten(1);
        // Conjugate gradients end at 1e-6 of the right-hand side, in the worst direction amplified
        // by the condition number; the others are exact.
        const double tolerance = name == "mask" ? 1e-4 : 1e-9;
        EXPECT_LE((found - mean).abs().max().item<double>(), tolerance);
        EXPECT_GT((found - clean.flatten(1)).abs().max().item<double>(), 0.1);
      }
    }
  }
}

// A measurement that is solved for by iteration says how far that came.
TEST(Measurement, SaysWhatIsUnsolved) {
  const at::Tensor clean = some_pictures(3).narrow(1, 0, 1);
  for (const auto& [name, measurement] : test::all_measurements(height, width, 0.1)) {
    SCOPED_TRACE(name);
    EXPECT_EQ(measurement->residual(), 0);
    measurement->condition(clean, measurement->simulate(clean, keys_of(3)), some_variance(1e-2));
    EXPECT_LE(measurement->residual(), 1e-6);
    EXPECT_EQ(measurement->residual() > 0, name == "mask");
  }
  // Smooth pictures of which every third pixel is known, almost without noise: 500 iterations are
  // too few.
  constexpr std::int64_t side = 48;
  const at::Tensor known = at::arange(side * side, at::kLong).remainder(3).eq(0).view({side, side});
  const at::Tensor i = at::arange(side, at::kDouble).square();
  const at::Tensor variance = at::exp(-0.05 * (i.unsqueeze(1) + i.unsqueeze(0))) + 1e-12;
  const auto hard = make_masked_measurement(known, 1e-5);
  const at::Tensor y =
      at::randn({1, 1, side, side}, at::detail::createCPUGenerator(4), at::kDouble);
  hard->condition(at::zeros_like(y), known * y, variance);
  EXPECT_GT(hard->residual(), 1e-4);
}

TEST(Measurement, ChannelsHaveVariancesOfTheirOwn) {
  const at::Tensor first = some_variance(0.1), second = some_variance(0.02) * 3;
  const at::Tensor clean = some_pictures(2);
  for (const auto& [name, measurement] : test::all_measurements(height, width, 0.1)) {
    SCOPED_TRACE(name);
    const at::Tensor y = measurement->simulate(some_pictures(2, 2), keys_of(2));
    const at::Tensor both = measurement->condition(clean, y, at::stack({first, second}));
    for (std::int64_t c = 0; c < 2; ++c) {
      const at::Tensor single =
          measurement->condition(clean.narrow(1, c, 1), y.narrow(1, c, 1), c == 0 ? first : second);
      EXPECT_TRUE(at::allclose(both.narrow(1, c, 1), single, 0, 1e-10));
    }
  }
}

TEST(Measurement, APictureDoesNotDependOnItsBatch) {
  const at::Tensor clean = some_pictures(4) * at::tensor({1.0, 1e-3, 30.0, 1.0}).view({4, 1, 1, 1});
  for (const auto& [name, measurement] : test::all_measurements(height, width, 0.02)) {
    SCOPED_TRACE(name);
    const at::Tensor y = measurement->simulate(some_pictures(4, 2), keys_of(4));
    const at::Tensor all = measurement->condition(clean, y, some_variance(1e-3));
    for (std::int64_t i = 0; i < 4; ++i) {
      const at::Tensor one =
          measurement->condition(clean.narrow(0, i, 1), y.narrow(0, i, 1), some_variance(1e-3));
      EXPECT_TRUE(at::allclose(all.narrow(0, i, 1), one, 1e-10, 1e-10));
    }
  }
}

TEST(Measurement, TheTruthDisagreesByTheNoise) {
  constexpr std::int64_t n = 200;
  const at::Tensor x = some_pictures(n);
  for (const auto& [name, measurement] : test::all_measurements(height, width, 0.3)) {
    SCOPED_TRACE(name);
    const at::Tensor y = measurement->simulate(x, keys_of(n));
    const double numbers = 2 * measurement->support().sum().item<double>();
    const double square = measurement->disagreement(x, y).square().mean().item<double>();
    // A chi-squared over its degrees of freedom; five standard errors.
    EXPECT_NEAR(square, 1, 5 * std::sqrt(2 / (numbers * n)));
    EXPECT_TRUE(at::equal(y * measurement->support(), y)) << "noise where nothing is measured";
    EXPECT_GT(measurement->disagreement(x + 1, y).min().item<double>(), 2);
  }
}

TEST(Measurement, SurpriseIsTheFactorThatTheVarianceLacks) {
  constexpr std::int64_t n = 500;
  const at::Tensor variance = some_variance(0.01);
  const spectral::Dct dct(height, width, at::kDouble, at::kCPU);
  const at::Tensor deviation = variance.sqrt() * some_pictures(n, 4);  // coefficients
  const at::Tensor clean = some_pictures(n, 5);
  for (const auto& [name, measurement] : test::all_measurements(height, width, 0.2)) {
    SCOPED_TRACE(name);
    for (const double factor : {1.0, 9.0}) {
      const at::Tensor x = clean + std::sqrt(factor) * dct.inverse(deviation);
      const at::Tensor y = measurement->simulate(x, keys_of(n));
      const at::Tensor found = measurement->surprise(clean, y, variance);
      ASSERT_EQ(found.size(0), n);
      const double error = found.std().item<double>() / std::sqrt(static_cast<double>(n));
      EXPECT_NEAR(found.mean().item<double>(), factor, 5 * error);
      EXPECT_LT(error, 0.05 * factor);  // or this would test nothing
    }
  }
}

TEST(Measurement, RefusesWhatDoesNotFit) {
  const auto make = [](const MeasurementOptions& options, const at::Tensor& mask = {}) {
    return make_measurement(options, height, width, mask);
  };
  MeasurementOptions options = test::measurement_options(Task::superresolve, 0.1);
  for (const std::int64_t factor : {3, 5, 8}) {
    options.factor = factor;
    EXPECT_THROW(make(options), Error) << factor;
  }
  options.task = Task::inpaint;
  EXPECT_THROW(make(options), Error);
  EXPECT_THROW(make(options, test::some_mask(width, height)), Error);
  EXPECT_THROW(make(options, at::zeros({height, width}, at::kBool)), Error);
  EXPECT_NO_THROW(make(options, test::some_mask(height, width)));
}

}  // namespace
}  // namespace calor::restore
