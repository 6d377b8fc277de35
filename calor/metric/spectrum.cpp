#include "calor/metric/spectrum.h"

#include <ATen/ATen.h>

#include "calor/data/dataset.h"
#include "calor/spectral/dct.h"

namespace calor::metric {
namespace {

// Mean power per frequency [H, W], float64.
at::Tensor dct_power(const at::Tensor& pictures) {
  const spectral::Dct dct(pictures.size(2), pictures.size(3), at::kFloat, at::kCPU);
  return dct.forward(data::to_unit_range(pictures))
      .square()
      .to(at::kDouble)
      .mean(at::IntArrayRef{0, 1});
}

at::Tensor fourier_power(const at::Tensor& pictures) {
  return at::fft_fft2(data::to_unit_range(pictures))
      .abs()
      .square()
      .to(at::kDouble)
      .mean(at::IntArrayRef{0, 1});
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

}  // namespace

double fine_power(const at::Tensor& samples, const at::Tensor& real, double r_min) {
  const at::Tensor i = at::arange(real.size(2), at::kDouble) / static_cast<double>(real.size(2));
  const at::Tensor j = at::arange(real.size(3), at::kDouble) / static_cast<double>(real.size(3));
  const at::Tensor r = (i.square().unsqueeze(1) + j.square().unsqueeze(0)).sqrt();
  const at::Tensor fine = r.gt(r_min).to(at::kDouble);
  return ((dct_power(samples) * fine).sum() / (dct_power(real) * fine).sum()).item<double>();
}

double patch_grid_power(const at::Tensor& samples, const at::Tensor& real, std::int64_t patch) {
  const at::Tensor ratio = (fourier_power(samples) / fourier_power(real)).log();
  const at::Tensor mask = harmonics(real.size(2), real.size(3), patch);
  return (ratio.masked_select(mask).mean() - ratio.masked_select(beside(mask)).mean())
      .exp()
      .item<double>();
}

}  // namespace calor::metric
