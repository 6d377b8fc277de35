#include "calor/metric/frechet.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

TEST(Frechet, Golden) {
  CALOR_GOLDEN_METRICS(golden);
  const at::Tensor x = golden.at("x");
  const at::Tensor y = golden.at("y");
  const auto expected = golden.at("frechet_distance").item<double>();
  EXPECT_NEAR(frechet_distance(x, y) / expected, 1, 1e-9);
  EXPECT_NEAR(frechet_distance(y, x) / expected, 1, 1e-9);
  EXPECT_NEAR(frechet_distance(x.to(at::kFloat), y.to(at::kFloat)) / expected, 1, 3e-4);
}

// Between Gaussians with diagonal covariances the distance is sum (m - m')^2 + (s - s')^2. The
// features are made so that their sample moments are exact.
TEST(Frechet, ClosedFormForDiagonalGaussians) {
  const double u =
      std::sqrt(1.5);  // per axis the points u, 0, -u, 0: unbiased variance 2 u^2/3 = 1
  const at::Tensor base =
      at::tensor({u, 0.0, -u, 0.0, 0.0, u, 0.0, -u}, at::kDouble).reshape({4, 2});
  EXPECT_NEAR(frechet_distance(base, base), 0, 1e-12);
  const at::Tensor scale = at::tensor({2.0, 5.0}, at::kDouble);
  const at::Tensor other = base * scale + 3;
  EXPECT_NEAR(frechet_distance(base, other), 2 * 9 + 1 + 16, 1e-10);
  EXPECT_NEAR(frechet_distance(other, base), 2 * 9 + 1 + 16, 1e-10);
  EXPECT_THROW(frechet_distance(base, base.slice(1, 0, 1)), Error);
  EXPECT_THROW(frechet_distance(base.slice(0, 0, 1), base), Error);
}

// Fewer samples than features: covariances with hundreds of eigenvalues 0. Shifted clouds differ by
// their means alone, scaled ones by (factor - 1)^2 times the trace.
TEST(Frechet, FewerSamplesThanFeatures) {
  const at::Tensor x = normal(1, {20, 500});
  EXPECT_NEAR(frechet_distance(x, x + 0.5), 500 * 0.25, 1e-8);
  const at::Tensor centred = x - x.mean(0);
  const double trace = centred.square().sum().item<double>() / 19;
  EXPECT_NEAR(frechet_distance(centred, 3 * centred), 4 * trace, 1e-8 * trace);
  const at::Tensor twice = at::cat({x, x});  // pairs of equal rows
  EXPECT_NEAR(frechet_distance(twice, twice - 1), 500, 1e-8);
}

// The standard error against the spread over 400 new sets of samples, which is itself known to
// 1/sqrt(800), 3.5 %; the bootstrap's own scatter, over 10 sets, is about as large.
TEST(Frechet, StandardErrorIsTheSpreadOfNewSamples) {
  const at::Tensor real = normal(1, {2000, 3});
  const auto samples = [](std::uint64_t seed) { return normal(seed, {300, 3}) * 1.2 + 0.3; };
  std::vector<double> values;
  for (std::uint64_t i = 0; i < 400; ++i) {
    values.push_back(frechet_distance(samples(100 + i), real));
  }
  double error = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    error += frechet_standard_error(samples(100 + i), real, test_key(i), 200) / 10;
  }
  EXPECT_NEAR(error / at::tensor(values, at::kDouble).std().item<double>(), 1, 0.15);
}

}  // namespace
}  // namespace calor::metric
