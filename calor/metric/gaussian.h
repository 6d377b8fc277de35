// The Gaussian law with full covariance: the simplest baseline of density estimation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/core/random.h"

namespace calor::metric {

// float64 on the CPU throughout.
class Gaussian {
 public:
  // mean [d], covariance [d, d]. Error where the covariance is not symmetric positive definite.
  Gaussian(const at::Tensor& mean, const at::Tensor& covariance);

  // Maximum likelihood on x [n, d], n > 1 (divisor n); `regularisation` times the columns'
  // variances is added to the diagonal. Error where columns depend on one another.
  static Gaussian fit(const at::Tensor& x, double regularisation = 0);

  // ln density in nats of x [n, d]: [n].
  at::Tensor log_density(const at::Tensor& x) const;
  // [n, d]; row i depends on the key and i alone.
  at::Tensor sample(std::int64_t n, RandomKey key) const;
  // The mean of -ln density, in nats.
  double entropy() const;

  const at::Tensor& mean() const { return mean_; }
  const at::Tensor& covariance() const { return covariance_; }

 private:
  at::Tensor mean_, covariance_;
  at::Tensor root_;  // lower triangular L, L L^T = covariance
  double log_determinant_ = 0;
};

}  // namespace calor::metric
