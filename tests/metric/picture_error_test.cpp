#include "calor/metric/picture_error.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace calor::metric {
namespace {

at::Tensor noise(std::int64_t n, std::uint64_t seed) {
  return at::rand({n, 2, 13, 12}, at::detail::createCPUGenerator(seed), at::kDouble) * 2 - 1;
}

TEST(PictureError, PsnrOfAConstantDifference) {
  const at::Tensor truth = noise(3, 1) * 0.5;
  const at::Tensor steps = at::tensor({0.2, 0.02, 0.0}, at::kDouble).view({3, 1, 1, 1});
  const at::Tensor found = psnr(truth + steps, truth);
  EXPECT_NEAR(found[0].item<double>(), 20, 1e-9);  // 10 log10(4/.04)
  EXPECT_NEAR(found[1].item<double>(), 40, 1e-9);
  EXPECT_TRUE(std::isinf(found[2].item<double>()));
}

TEST(PictureError, SsimOfConstantsIsTheTermOfBrightness) {
  const double a = 0.3, b = 0.8, c1 = 1e-4;
  const auto flat = [](double level) { return at::full({1, 1, 16, 16}, 2 * level - 1); };
  EXPECT_NEAR(ssim(flat(a), flat(b)).item<double>(), (2 * a * b + c1) / (a * a + b * b + c1), 1e-6);
}

TEST(PictureError, SsimIsOneForTheSameAndFallsWithNoise) {
  const at::Tensor truth = noise(2, 1) * 0.5;
  const at::Tensor error = noise(2, 2);
  EXPECT_NEAR(ssim(truth, truth).min().item<double>(), 1, 1e-12);
  const double near = ssim(truth + 0.05 * error, truth).max().item<double>();
  const double far = ssim(truth + 0.5 * error, truth).max().item<double>();
  EXPECT_LT(near, 1 - 1e-4);
  EXPECT_LT(far, near - 0.1);
}

// The definition, place by place with loops.
double ssim_by_hand(const at::Tensor& made, const at::Tensor& truth) {
  const auto x = ((made + 1) / 2).contiguous();
  const auto y = ((truth + 1) / 2).contiguous();
  double total = 0;
  int places = 0;
  for (int c = 0; c < 2; ++c) {
    for (int i = 5; i + 5 < 13; ++i) {
      for (int j = 5; j + 5 < 12; ++j, ++places) {
        double w = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
        for (int di = -5; di <= 5; ++di) {
          for (int dj = -5; dj <= 5; ++dj) {
            const double g = std::exp(-(di * di + dj * dj) / (2 * 1.5 * 1.5));
            const double p = x[c][i + di][j + dj].item<double>();
            const double q = y[c][i + di][j + dj].item<double>();
            w += g, mx += g * p, my += g * q, xx += g * p * p, yy += g * q * q, xy += g * p * q;
          }
        }
        mx /= w, my /= w;
        const double vx = xx / w - mx * mx, vy = yy / w - my * my, cov = xy / w - mx * my;
        total += (2 * mx * my + 1e-4) * (2 * cov + 9e-4) /
                 ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4));
      }
    }
  }
  return total / places;
}

TEST(PictureError, SsimIsItsDefinition) {
  const at::Tensor truth = noise(2, 3);
  const at::Tensor made = 0.6 * truth + 0.4 * noise(2, 4);
  const at::Tensor found = ssim(made, truth);
  for (std::int64_t n = 0; n < 2; ++n) {
    EXPECT_NEAR(found[n].item<double>(), ssim_by_hand(made[n], truth[n]), 1e-10);
  }
}

}  // namespace
}  // namespace calor::metric
