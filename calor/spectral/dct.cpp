#include "calor/spectral/dct.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace calor::spectral {
namespace {

// (pi k / n)^2 for k = 0..n-1, float64 on the CPU.
at::Tensor eigenvalues_1d(std::int64_t n) {
  return (at::arange(n, at::kDouble) * (std::numbers::pi / static_cast<double>(n))).square();
}

// [N, n, n]: C^T diag(exp(-l tau)) C for each tau.
at::Tensor heat_matrices(const at::Tensor& dct_matrix, const at::Tensor& tau) {
  const at::Tensor l = eigenvalues_1d(dct_matrix.size(0)).to(dct_matrix.options());
  const at::Tensor decay = at::exp(-tau.reshape({-1, 1, 1}) * l);  // [N, 1, n]
  return at::matmul(dct_matrix.t() * decay, dct_matrix);
}

}  // namespace

at::Tensor dct_matrix(std::int64_t n, at::ScalarType type, at::Device device) {
  const at::Tensor k = at::arange(n, at::kDouble).unsqueeze(1);
  const at::Tensor i = at::arange(n, at::kDouble).unsqueeze(0);
  const auto size = static_cast<double>(n);
  at::Tensor matrix = at::cos(k * (2 * i + 1) * (std::numbers::pi / (2 * size)));
  matrix.mul_(std::sqrt(2 / size));
  matrix[0].fill_(std::sqrt(1 / size));
  return matrix.to(device, type);
}

Dct::Dct(std::int64_t height, std::int64_t width, at::ScalarType type, at::Device device)
    : rows_(dct_matrix(height, type, device)), columns_(dct_matrix(width, type, device)) {}

at::Tensor Dct::forward(const at::Tensor& pictures) const {
  return at::matmul(at::matmul(rows_, pictures), columns_.t());
}

at::Tensor Dct::inverse(const at::Tensor& coefficients) const {
  return at::matmul(at::matmul(rows_.t(), coefficients), columns_);
}

at::Tensor laplacian_eigenvalues(std::int64_t height, std::int64_t width) {
  return eigenvalues_1d(height).unsqueeze(1) + eigenvalues_1d(width).unsqueeze(0);
}

at::Tensor heat_blur(const Dct& dct, const at::Tensor& pictures, const at::Tensor& tau) {
  const at::Tensor row_kernels = heat_matrices(dct.rows(), tau).unsqueeze(1);        // [N, 1, H, H]
  const at::Tensor column_kernels = heat_matrices(dct.columns(), tau).unsqueeze(1);  // [N, 1, W, W]
  // The kernels are symmetric: K^T = K.
  return at::matmul(at::matmul(row_kernels, pictures), column_kernels);
}

}  // namespace calor::spectral
