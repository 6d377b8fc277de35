// The orthonormal discrete cosine transform of pictures, as matrix products, and the Laplacian with
// reflecting borders, which it diagonalises.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::spectral {

// The orthonormal DCT-II matrix [n, n]: row k is sqrt((k ? 2 : 1)/n) cos(pi k (2 i + 1) / (2 n)).
// Computed in float64, returned in `type`.
at::Tensor dct_matrix(std::int64_t n, at::ScalarType type, at::Device device);

// DCT-II and its inverse (DCT-III) of the last two dimensions of [..., H, W] tensors. White noise
// stays white and L2 norms are kept. Differentiable.
class Dct {
 public:
  Dct() = default;
  Dct(std::int64_t height, std::int64_t width, at::ScalarType type, at::Device device);

  at::Tensor forward(const at::Tensor& pictures) const;
  at::Tensor inverse(const at::Tensor& coefficients) const;

  std::int64_t height() const { return rows_.size(0); }
  std::int64_t width() const { return columns_.size(0); }
  at::ScalarType type() const { return rows_.scalar_type(); }
  at::Device device() const { return rows_.device(); }
  const at::Tensor& rows() const { return rows_; }
  const at::Tensor& columns() const { return columns_; }

 private:
  at::Tensor rows_, columns_;  // [H, H], [W, W]
};

// |lambda_ij| = pi^2 (i^2/H^2 + j^2/W^2), [H, W], float64 on the CPU: the negated eigenvalues of
// the Laplacian in the basis of the DCT, in 1/pixel^2.
at::Tensor laplacian_eigenvalues(std::int64_t height, std::int64_t width);

// The heat equation run for time tau_n (in pixel^2) on picture n of [N, C, H, W]: a Gaussian blur
// of standard deviation sqrt(2 tau) pixels with reflecting borders. The multiplier is separable, so
// the blur is K_H x K_W^T with one small matrix per picture and side, K = C^T diag(exp(-l tau)) C.
// tau: [N], same type and device as the DCT.
at::Tensor heat_blur(const Dct& dct, const at::Tensor& pictures, const at::Tensor& tau);

}  // namespace calor::spectral
