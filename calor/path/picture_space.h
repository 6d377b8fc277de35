// A path on pictures of one size: the schedules, the transform and the eigenvalues together.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "calor/path/spectral_path.h"
#include "calor/spectral/dct.h"

namespace calor::path {

struct PictureSpace {
  std::shared_ptr<const SpectralPath> path;
  spectral::Dct dct;
  at::Tensor lambda;  // [H, W], of the type and on the device of the DCT

  PictureSpace() = default;
  PictureSpace(std::shared_ptr<const SpectralPath> path, std::int64_t height, std::int64_t width,
               at::ScalarType type, at::Device device);

  // Multiplies each frequency of pictures [N, C, H, W]. The multiplier broadcasts to that shape; it
  // is applied in the DCT domain where it depends on the frequency, directly where not.
  at::Tensor multiply(const at::Tensor& multiplier, const at::Tensor& pictures) const;
  // The sum of two such products, with one inverse transform where both need one.
  at::Tensor combine(const at::Tensor& first, const at::Tensor& pictures, const at::Tensor& second,
                     const at::Tensor& others) const;
};

// Whether a multiplier [.., H or 1, W or 1], or one number, is the same for all frequencies.
bool same_for_all_frequencies(const at::Tensor& multiplier);

}  // namespace calor::path
