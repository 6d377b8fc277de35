#include "calor/path/picture_space.h"

#include <ATen/ATen.h>

namespace calor::path {

PictureSpace::PictureSpace(std::shared_ptr<const SpectralPath> path_, std::int64_t height,
                           std::int64_t width, at::ScalarType type, at::Device device)
    : path(std::move(path_)),
      dct(height, width, type, device),
      lambda(spectral::laplacian_eigenvalues(height, width).to(device, type)) {}

at::Tensor PictureSpace::multiply(const at::Tensor& multiplier, const at::Tensor& pictures) const {
  if (same_for_all_frequencies(multiplier)) return multiplier * pictures;
  return dct.inverse(multiplier * dct.forward(pictures));
}

at::Tensor PictureSpace::combine(const at::Tensor& first, const at::Tensor& pictures,
                                 const at::Tensor& second, const at::Tensor& others) const {
  if (same_for_all_frequencies(first) || same_for_all_frequencies(second)) {
    return multiply(first, pictures) + multiply(second, others);
  }
  return dct.inverse(first * dct.forward(pictures) + second * dct.forward(others));
}

bool same_for_all_frequencies(const at::Tensor& multiplier) {
  return multiplier.dim() < 2 || (multiplier.size(-1) == 1 && multiplier.size(-2) == 1);
}

}  // namespace calor::path
