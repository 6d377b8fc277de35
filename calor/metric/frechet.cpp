#include "calor/metric/frechet.h"

#include <ATen/ATen.h>

namespace calor::metric {
namespace {

at::Tensor covariance(const at::Tensor& x) {
  const at::Tensor centred = x - x.mean(0, true);
  return at::mm(centred.t(), centred) / (x.size(0) - 1);
}

// The symmetric root of a positive semi-definite matrix; eigenvalues below 0 are rounding.
at::Tensor root(const at::Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::mm(vectors * values.clamp_min(0).sqrt(), vectors.t());
}

}  // namespace

double frechet_distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor ca = covariance(a);
  const at::Tensor cb = covariance(b);
  const at::Tensor root_a = root(ca);
  // tr (C_a C_b)^(1/2) = tr (R C_b R)^(1/2), R = C_a^(1/2), which is symmetric.
  const at::Tensor product = at::mm(at::mm(root_a, cb), root_a);
  const at::Tensor cross =
      at::linalg_eigvalsh((product + product.t()) / 2).clamp_min(0).sqrt().sum();
  const at::Tensor distance =
      (a.mean(0) - b.mean(0)).square().sum() + ca.trace() + cb.trace() - 2 * cross;
  return distance.item<double>();
}

}  // namespace calor::metric
