#include "calor/metric/spectrum.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

at::Tensor noise_pictures() {
  return at::randint(0, 256, {200, 1, 16, 16}, at::detail::createCPUGenerator(1),
                     at::TensorOptions(at::kByte));
}

// The contrast about the middle, rounded.
at::Tensor with_contrast(const at::Tensor& pictures, double contrast) {
  return ((pictures.to(at::kDouble) - 127.5) * contrast + 127.5).round().to(at::kByte);
}

TEST(Spectrum, FinePowerIsRelative) {
  const at::Tensor real = noise_pictures();
  EXPECT_NEAR(fine_power(real, real, 0.6), 1, 1e-12);
  // Half the contrast about the middle: a quarter of the power (bytes round a little).
  EXPECT_NEAR(fine_power(with_contrast(real, 0.5), real, 0.6), 0.25, 0.01);
  EXPECT_THROW(fine_power(real.slice(2, 0, 8), real, 0.6), Error);
}

TEST(Spectrum, PatchGridIsSeen) {
  const at::Tensor real = noise_pictures();
  EXPECT_NEAR(patch_grid_power(real, real, 4), 1, 1e-12);
  at::Tensor gridded = real.clone();
  // One dark line a patch.
  gridded.slice(2, 0, std::nullopt, 4).fill_(0);
  EXPECT_GT(patch_grid_power(gridded, real, 4), 1.5);
}

// The coefficients by their definition, and each one's band by its own radius.
TEST(Spectrum, RadialPowerByDefinition) {
  constexpr std::int64_t height = 6;
  constexpr std::int64_t width = 4;
  const at::Tensor pictures =
      noise_pictures().slice(0, 0, 2).slice(2, 0, height).slice(3, 0, width);
  const at::Tensor bands = radial_bands(height, width);
  const at::Tensor power = radial_power(pictures);
  ASSERT_EQ(power.sizes(), at::IntArrayRef({2, bands.size(0)}));
  for (std::int64_t n = 0; n < 2; ++n) {
    std::vector<double> sum(static_cast<std::size_t>(bands.size(0)));
    std::vector<int> count(sum.size());
    for (std::int64_t i = 0; i < height; ++i) {
      for (std::int64_t j = 0; j < width; ++j) {
        double c = 0;
        for (std::int64_t y = 0; y < height; ++y) {
          for (std::int64_t x = 0; x < width; ++x) {
            const double v = pictures[n][0][y][x].item<double>() / 127.5 - 1;
            c += v * std::cos(M_PI * (y + 0.5) * i / height) *
                 std::cos(M_PI * (x + 0.5) * j / width);
          }
        }
        c *= std::sqrt((i > 0 ? 2.0 : 1.0) / height * (j > 0 ? 2.0 : 1.0) / width);
        const double r = std::hypot(double(i) / height, double(j) / width);
        const auto band = static_cast<std::size_t>(std::lround(r * width));
        ASSERT_LT(band, sum.size());
        sum[band] += c * c;
        ++count[band];
      }
    }
    for (std::size_t k = 0; k < sum.size(); ++k) {
      ASSERT_GT(count[k], 0) << k;
      const auto b = static_cast<std::int64_t>(k);
      EXPECT_NEAR(power[n][b].item<double>(), sum[k] / count[k], 1e-5 * (1 + sum[k])) << k;
      EXPECT_DOUBLE_EQ(bands[b].item<double>(), double(k) / width);
    }
  }
}

// Pieces, channels, and the energy of the whole: the transform is orthonormal.
TEST(Spectrum, RadialPowerKeepsTheEnergy) {
  const at::Tensor pictures = at::randint(0, 256, {520, 3, 8, 8}, at::detail::createCPUGenerator(2),
                                          at::TensorOptions(at::kByte));
  const at::Tensor power = radial_power(pictures);
  at::Tensor count = at::zeros({power.size(1)}, at::kDouble);
  for (std::int64_t i = 0; i < 8; ++i) {
    for (std::int64_t j = 0; j < 8; ++j) count[std::lround(std::hypot(i, j))] += 1;
  }
  const at::Tensor energy =
      (pictures.to(at::kDouble) / 127.5 - 1).square().sum(at::IntArrayRef{2, 3}).mean(1);
  EXPECT_TRUE(at::allclose((power * count).sum(1), energy, 1e-5));
}

// Half the contrast is a quarter of the power in every band: |log10(1/4)|. Each band's ratio is
// exact but for the rounding to bytes, a variance of 1/12 beside some 1,400 levels squared.
TEST(Spectrum, DistanceOfKnownContrast) {
  const at::Tensor real = radial_power(noise_pictures());
  const at::Tensor faint = radial_power(with_contrast(noise_pictures(), 0.5));
  EXPECT_EQ(spectrum_distance(real, real), 0);
  EXPECT_NEAR(spectrum_distance(faint, real), std::log10(4), 0.005);
  EXPECT_NEAR(spectrum_distance(real, faint), std::log10(4), 0.005);
  EXPECT_NEAR(radial_power_ratio(faint, real)[3].item<double>(), 0.25, 0.005);
}

// No detail on either side is no difference; the mean's own band does not count.
TEST(Spectrum, EmptyBandsAreEqual) {
  const at::Tensor dark = radial_power(at::full({5, 1, 8, 8}, 20, at::kByte));
  const at::Tensor bright = radial_power(at::full({5, 1, 8, 8}, 240, at::kByte));
  EXPECT_NEAR(spectrum_distance(dark, bright), 0, 1e-6);
  EXPECT_EQ(spectrum_distance(radial_power(at::full({5, 1, 1, 1}, 9, at::kByte)),
                              radial_power(at::full({5, 1, 1, 1}, 200, at::kByte))),
            0);
}

}  // namespace
}  // namespace calor::metric
