// What has to be known of a prior to condition its predictions on a measurement: how far the clean
// picture may be from the one that is predicted.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "calor/core/random.h"
#include "calor/path/picture_space.h"
#include "calor/solve/sampler.h"

namespace calor::restore {

// Mean and variance of each DCT coefficient of each channel, float64 [C, H, W].
struct Spectrum {
  at::Tensor mean, variance;
};
// Of pictures [n, C, H, W], n > 1. Variances are at least 1e-8.
Spectrum spectrum_of(const at::Tensor& pictures);

// The variance of the clean picture's coefficients given the state, for the times at which a
// sampler asks for predictions.
class Uncertainty {
 public:
  // Where coefficients are independent Gaussians of these variances [C, H, W] or [H, W] it is
  // known: C S^2 / (A^2 C + S^2), the same for all states.
  static Uncertainty gaussian(const path::SpectralPath& path, const at::Tensor& lambda,
                              const at::Tensor& variance, std::vector<double> times);
  // The mean squared error of the denoiser itself on pictures [n, C, H, W] that are mixed with
  // noise by the path's law, picture i and time k with the stream keys[i].child(k). Of the best
  // denoiser it is the posterior variance, averaged over states. `on_time` is called after each
  // time with the number of times done; it may throw. At least 1e-8.
  static Uncertainty measured(const path::PictureSpace& space, const solve::Denoise& denoise,
                              const at::Tensor& pictures, std::span<const RandomKey> keys,
                              std::vector<double> times,
                              const std::function<void(std::int64_t)>& on_time = {});

  // At the one of the times that is nearest to t: float64 [C, H, W] or [H, W].
  const at::Tensor& at(double t) const;
  const std::vector<double>& times() const { return times_; }

 private:
  Uncertainty(std::vector<double> times, std::vector<at::Tensor> variances);

  std::vector<double> times_;
  std::vector<at::Tensor> variances_;
};

}  // namespace calor::restore
