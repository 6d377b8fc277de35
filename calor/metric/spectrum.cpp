#include "calor/metric/spectrum.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "calor/data/dataset.h"
#include "calor/metric/picture_pair.h"
#include "calor/spectral/dct.h"

namespace calor::metric {
namespace {

// Mean power per frequency [H, W], float64, of what `transform` makes of pictures [n, C, H, W].
template <class Transform>
at::Tensor mean_power(const at::Tensor& pictures, const Transform& transform) {
  at::Tensor sum = at::zeros({pictures.size(2), pictures.size(3)}, at::kDouble);
  for (const at::Tensor& part : in_pieces(pictures)) {
    const at::Tensor power = transform(data::to_unit_range(part)).abs().square();
    sum += power.to(at::kDouble).sum(at::IntArrayRef{0, 1});
  }
  return sum / (pictures.size(0) * pictures.size(1));
}

at::Tensor dct_power(const at::Tensor& pictures) {
  const spectral::Dct dct(pictures.size(2), pictures.size(3), at::kFloat, at::kCPU);
  return mean_power(pictures, [&](const at::Tensor& part) { return dct.forward(part); });
}

at::Tensor fourier_power(const at::Tensor& pictures) {
  return mean_power(pictures, [](const at::Tensor& part) { return at::fft_fft2(part); });
}

// [H, W], 1 where both indices are multiples of the grid's frequency, but for the mean.
at::Tensor harmonics(std::int64_t height, std::int64_t width, std::int64_t patch) {
  const auto on = [&](std::int64_t n) { return (at::arange(n, at::kLong) % (n / patch)).eq(0); };
  at::Tensor mask = on(height).unsqueeze(1).logical_and(on(width).unsqueeze(0)).clone();
  mask[0][0] = false;
  return mask;
}

// The eight neighbours of the harmonics, without the neighbourhood of the mean.
at::Tensor beside(const at::Tensor& mask) {
  at::Tensor near = at::zeros_like(mask);
  at::Tensor zero = at::zeros_like(mask);
  zero[0][0] = true;
  at::Tensor around_mean = zero.clone();
  for (const std::int64_t di : {-1, 0, 1}) {
    for (const std::int64_t dj : {-1, 0, 1}) {
      near.logical_or_(at::roll(mask, {di, dj}, {0, 1}));
      around_mean.logical_or_(at::roll(zero, {di, dj}, {0, 1}));
    }
  }
  return near.logical_and(mask.logical_not()).logical_and(around_mean.logical_not());
}

// sqrt(i^2/H^2 + j^2/W^2), float64 [H, W].
at::Tensor radii(std::int64_t height, std::int64_t width) {
  const at::Tensor i = at::arange(height, at::kDouble) / static_cast<double>(height);
  const at::Tensor j = at::arange(width, at::kDouble) / static_cast<double>(width);
  return (i.square().unsqueeze(1) + j.square().unsqueeze(0)).sqrt();
}

// The band of each frequency, int64 [H, W].
at::Tensor band_numbers(std::int64_t height, std::int64_t width) {
  return (radii(height, width) * static_cast<double>(std::min(height, width)))
      .round()
      .to(at::kLong);
}

// float64 [H W, K]: a picture's power, flattened, times this is the mean of each band.
at::Tensor band_means(std::int64_t height, std::int64_t width) {
  const at::Tensor band = band_numbers(height, width).flatten();
  at::Tensor member = at::one_hot(band).to(at::kDouble);
  return member / member.sum(0, true).clamp_min(1);
}

}  // namespace

double fine_power(const at::Tensor& samples, const at::Tensor& real, double r_min) {
  check_picture_pair(samples, real);
  const at::Tensor fine = radii(real.size(2), real.size(3)).gt(r_min).to(at::kDouble);
  return ((dct_power(samples) * fine).sum() / (dct_power(real) * fine).sum()).item<double>();
}

double patch_grid_power(const at::Tensor& samples, const at::Tensor& real, std::int64_t patch) {
  check_picture_pair(samples, real);
  const at::Tensor ratio = (fourier_power(samples) / fourier_power(real)).log();
  const at::Tensor mask = harmonics(real.size(2), real.size(3), patch);
  return (ratio.masked_select(mask).mean() - ratio.masked_select(beside(mask)).mean())
      .exp()
      .item<double>();
}

at::Tensor radial_bands(std::int64_t height, std::int64_t width) {
  const auto last = band_numbers(height, width).max().item<std::int64_t>();
  return at::arange(last + 1, at::kDouble) / static_cast<double>(std::min(height, width));
}

at::Tensor radial_power(const at::Tensor& pictures) {
  check_pictures(pictures);
  const spectral::Dct dct(pictures.size(2), pictures.size(3), at::kFloat, at::kCPU);
  const at::Tensor means = band_means(pictures.size(2), pictures.size(3));
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : in_pieces(pictures)) {
    const at::Tensor power = dct.forward(data::to_unit_range(part)).square();
    parts.push_back(at::mm(power.to(at::kDouble).mean(1).flatten(1), means));
  }
  return at::cat(parts);
}

at::Tensor radial_power_ratio(const at::Tensor& samples, const at::Tensor& real) {
  constexpr double level = 1 / 127.5;
  constexpr double rounding = level * level / 12;  // the variance of an error uniform in a level
  return (samples.mean(0) + rounding) / (real.mean(0) + rounding);
}

double spectrum_distance(const at::Tensor& samples, const at::Tensor& real) {
  const at::Tensor ratio = radial_power_ratio(samples, real);
  if (ratio.size(0) < 2) return 0;  // pictures of one pixel have a mean alone
  return ratio.slice(0, 1).log10().abs().mean().item<double>();
}

}  // namespace calor::metric
