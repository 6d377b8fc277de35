// The Frechet distance between two clouds of features, each taken as a Gaussian.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::metric {

// |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), unbiased covariances; features float64 [N, d],
// N > 1. Name the features when you quote it; "FID" is for Inception-v3 alone.
double frechet_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace calor::metric
