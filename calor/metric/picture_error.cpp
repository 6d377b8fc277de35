#include "calor/metric/picture_error.h"

#include <ATen/ATen.h>

namespace calor::metric {
namespace {

constexpr double window_deviation = 1.5;

// [1, 1, 11, 11], its sum 1.
at::Tensor window() {
  const at::Tensor m = at::arange(ssim_window, at::kDouble) - (ssim_window - 1) / 2;
  const at::Tensor line = (m / window_deviation).square().div(-2).exp();
  return at::outer(line, line).div(line.sum().square()).view({1, 1, ssim_window, ssim_window});
}

}  // namespace

at::Tensor psnr(const at::Tensor& made, const at::Tensor& truth) {
  const at::Tensor error = (made.to(at::kDouble) - truth.to(at::kDouble)).square();
  return 10 * (4 / error.mean(at::IntArrayRef{1, 2, 3})).log10();
}

at::Tensor ssim(const at::Tensor& made, const at::Tensor& truth) {
  constexpr double c1 = 0.01 * 0.01;
  constexpr double c2 = 0.03 * 0.03;
  const at::Tensor weights = window().to(made.device());
  const auto single = [](const at::Tensor& pictures) {  // each channel as a picture
    return pictures.to(at::kDouble).add(1).div(2).flatten(0, 1).unsqueeze(1);
  };
  const auto local = [&](const at::Tensor& x) { return at::conv2d(x, weights); };
  const at::Tensor x = single(made);
  const at::Tensor y = single(truth);
  const at::Tensor mx = local(x);
  const at::Tensor my = local(y);
  const at::Tensor vx = local(x * x) - mx * mx;
  const at::Tensor vy = local(y * y) - my * my;
  const at::Tensor covariance = local(x * y) - mx * my;
  const at::Tensor map =
      (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2));
  return map.flatten(1).mean(1).view({made.size(0), made.size(1)}).mean(1);
}

}  // namespace calor::metric
