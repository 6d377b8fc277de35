#include "calor/spectral/dct.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/support/golden.h"

namespace calor::spectral {
namespace {

at::Tensor random_pictures(at::IntArrayRef shape) {
  const auto generator = at::detail::createCPUGenerator(7);
  return at::randn(shape, generator, at::TensorOptions(at::kDouble));
}

// The definition, summed term by term.
double dct_by_definition(const at::Tensor& picture, std::int64_t k, std::int64_t l) {
  const std::int64_t h = picture.size(0);
  const std::int64_t w = picture.size(1);
  const auto norm = [](std::int64_t i, std::int64_t n) {
    return std::sqrt((i == 0 ? 1.0 : 2.0) / static_cast<double>(n));
  };
  const auto wave = [](std::int64_t i, std::int64_t k_, std::int64_t n) {
    return std::cos(std::numbers::pi * static_cast<double>(k_ * (2 * i + 1)) /
                    static_cast<double>(2 * n));
  };
  double sum = 0;
  for (std::int64_t i = 0; i < h; ++i) {
    for (std::int64_t j = 0; j < w; ++j) {
      sum += picture[i][j].item<double>() * wave(i, k, h) * wave(j, l, w);
    }
  }
  return sum * norm(k, h) * norm(l, w);
}

TEST(Dct, IsTheDefinitionOnARectangle) {
  const at::Tensor x = random_pictures({5, 8});
  const at::Tensor y = Dct(5, 8, at::kDouble, at::kCPU).forward(x);
  for (std::int64_t k = 0; k < 5; ++k) {
    for (std::int64_t l = 0; l < 8; ++l) {
      EXPECT_NEAR(y[k][l].item<double>(), dct_by_definition(x, k, l), 1e-13);
    }
  }
}

TEST(Dct, IsOrthonormal) {
  const Dct dct(28, 32, at::kDouble, at::kCPU);
  const at::Tensor x = random_pictures({3, 2, 28, 32});
  const at::Tensor y = dct.forward(x);
  EXPECT_TRUE(at::allclose(dct.inverse(y), x, 0, 1e-12));
  EXPECT_NEAR(y.norm().item<double>(), x.norm().item<double>(), 1e-10);
}

// The cosines are eigenvectors of the Laplacian with reflecting borders only in the continuum; the
// blur is checked against its own definition, transform by transform.
TEST(HeatBlur, EqualsTheTransformedMultiplier) {
  const Dct dct(12, 20, at::kDouble, at::kCPU);
  const at::Tensor x = random_pictures({4, 3, 12, 20});
  const at::Tensor tau = at::tensor({0.0, 0.3, 2.0, 50.0}, at::kDouble);
  const at::Tensor lambda = laplacian_eigenvalues(12, 20);
  const at::Tensor multiplier = at::exp(-tau.reshape({4, 1, 1, 1}) * lambda);
  const at::Tensor expected = dct.inverse(multiplier * dct.forward(x));
  EXPECT_TRUE(at::allclose(heat_blur(dct, x, tau), expected, 0, 1e-12));
}

// A wide blur leaves the mean; a blur of standard deviation s spreads a point to variance s^2.
TEST(HeatBlur, IsAGaussianOfTheStatedWidth) {
  const Dct dct(64, 64, at::kDouble, at::kCPU);
  at::Tensor point = at::zeros({1, 1, 64, 64}, at::kDouble);
  point[0][0][31][31] = 1;
  const double sigma = 3;
  const at::Tensor tau = at::full({1}, sigma * sigma / 2, at::kDouble);
  const at::Tensor row = heat_blur(dct, point, tau)[0][0].sum(1);
  const at::Tensor position = at::arange(64, at::kDouble) - 31;
  EXPECT_NEAR(row.sum().item<double>(), 1, 1e-12);
  EXPECT_NEAR((row * position.square()).sum().item<double>(), sigma * sigma, 1e-6);
}

TEST(Golden, HeatBlurAndLaplacian) {
  CALOR_GOLDEN(golden, "hdfm_small.safetensors");
  const at::Tensor x = golden.at("blur.x");
  const at::Tensor t = golden.at("blur.t");
  const Dct dct(16, 16, at::kFloat, at::kCPU);
  const at::Tensor lambda = laplacian_eigenvalues(16, 16).to(at::kFloat);
  for (std::int64_t i = 0; i < t.size(0); ++i) {
    const at::Tensor tau = (t[i].clamp_min(1e-4).log() * -0.5).expand({2});
    const at::Tensor blurred = heat_blur(dct, x, tau);
    test::expect_close(blurred, golden.at("blur.blurred")[i], 1e-5, "blur " + std::to_string(i));
    // As the samplers compute it: blur and Laplacian as one multiplier.
    const at::Tensor multiplier = at::exp(-tau[0] * lambda) * -lambda;
    const at::Tensor laplacian = dct.inverse(dct.forward(x) * multiplier);
    test::expect_close(laplacian, golden.at("blur.laplacian")[i], 1e-5,
                       "laplacian " + std::to_string(i));
  }
}

TEST(Golden, HeatBlurOnARectangle) {
  CALOR_GOLDEN(golden, "hdfm_small.safetensors");
  const Dct dct(8, 12, at::kFloat, at::kCPU);
  const at::Tensor tau = golden.at("blur.rect_t").clamp_min(1e-4).log() * -0.5;
  const at::Tensor blurred = heat_blur(dct, golden.at("blur.rect_x"), tau);
  test::expect_close(blurred, golden.at("blur.rect_blurred"), 1e-5, "blur");
  const at::Tensor lambda = laplacian_eigenvalues(8, 12).to(at::kFloat);
  test::expect_close(dct.inverse(dct.forward(blurred) * -lambda), golden.at("blur.rect_laplacian"),
                     1e-5, "laplacian");
}

}  // namespace
}  // namespace calor::spectral
