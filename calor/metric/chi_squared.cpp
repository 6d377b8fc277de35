#include "calor/metric/chi_squared.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace calor::metric {

// p (2q - p) / q^2 = 1 - (p/q - 1)^2, so that laws that are nearly equal lose no digits.
double chi_squared(const at::Tensor& p, const at::Tensor& q, const at::Tensor& mean) {
  const at::Tensor excess = (p - q) / q;
  if (excess.ge(1).any().item<bool>()) return std::numeric_limits<double>::infinity();
  at::Tensor log = -at::log1p(-excess.square()) / 2;
  if (mean.defined()) log = log + mean.square() / (2 * q - p);
  return std::expm1(log.sum().item<double>());
}

}  // namespace calor::metric
