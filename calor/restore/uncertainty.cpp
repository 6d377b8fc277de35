#include "calor/restore/uncertainty.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace calor::restore {
namespace {

// Less than the rounding of any picture; keeps what is divided by away from 0.
constexpr double least_variance = 1e-8;

spectral::Dct dct_of(const at::Tensor& pictures) {
  return {pictures.size(2), pictures.size(3), at::kDouble, pictures.device()};
}

at::Tensor time_of(double t) { return at::full({1, 1}, t, at::kDouble); }

}  // namespace

Spectrum spectrum_of(const at::Tensor& pictures) {
  const at::Tensor x = dct_of(pictures).forward(pictures.to(at::kDouble));
  return {.mean = x.mean(0), .variance = x.var(0, /*unbiased=*/true).clamp_min(least_variance)};
}

Uncertainty::Uncertainty(std::vector<double> times, std::vector<at::Tensor> variances)
    : times_(std::move(times)), variances_(std::move(variances)) {}

Uncertainty Uncertainty::gaussian(const path::SpectralPath& path, const at::Tensor& lambda,
                                  const at::Tensor& variance, std::vector<double> times) {
  const at::Tensor l = lambda.cpu().to(at::kDouble);
  const at::Tensor c = variance.cpu().to(at::kDouble);
  std::vector<at::Tensor> variances;
  for (const double t : times) {
    const at::Tensor snr = (2 * path::log_snr(path, time_of(t), l)).exp();  // A^2 / S^2
    variances.push_back((c / (1 + c * snr)).clamp_min(least_variance).to(variance.device()));
  }
  return {std::move(times), std::move(variances)};
}

Uncertainty Uncertainty::measured(const path::PictureSpace& space, const solve::Denoise& denoise,
                                  const at::Tensor& pictures, std::span<const RandomKey> keys,
                                  std::vector<double> times,
                                  const std::function<void(std::int64_t)>& on_time) {
  const c10::NoGradGuard no_grad;
  const spectral::Dct dct = dct_of(pictures);
  const at::Tensor lambda = space.lambda.cpu().to(at::kDouble);
  std::vector<at::Tensor> variances;
  for (std::size_t k = 0; k < times.size(); ++k) {
    std::vector<RandomKey> own;
    for (const RandomKey& key : keys) own.push_back(key.child(k));
    const at::Tensor noise =
        normal_by_item(own, pictures.sizes().slice(1), pictures.device()).to(pictures.options());
    const at::Tensor t = time_of(times[k]);
    const at::Tensor a = space.path->log_a(t, lambda).exp().to(pictures.options());
    const at::Tensor s = space.path->log_s(t, lambda).exp().to(pictures.options());
    const at::Tensor z = space.combine(a, pictures, s, noise);
    const at::Tensor error = (denoise(z, times[k]) - pictures).to(at::kDouble);
    variances.push_back(dct.forward(error).square().mean(0).clamp_min(least_variance));
    if (on_time) on_time(static_cast<std::int64_t>(k) + 1);
  }
  return {std::move(times), std::move(variances)};
}

const at::Tensor& Uncertainty::at(double t) const {
  const auto nearest =
      std::ranges::min_element(times_, {}, [t](double own) { return std::abs(own - t); });
  return variances_[static_cast<std::size_t>(nearest - times_.begin())];
}

}  // namespace calor::restore
