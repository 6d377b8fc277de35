// The Frechet distance between two clouds of features, each taken as a Gaussian.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/core/random.h"

namespace calor::metric {

// |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), unbiased covariances; features [N, d], N > 1.
// Biased upwards by about 1/N, and more where N is at most d, whose covariance is singular. Name
// the features when you quote it; "FID" is for Inception-v3 alone.
double frechet_distance(const at::Tensor& a, const at::Tensor& b);

// How much that would change with other samples in place of a's, b staying: the bootstrap's
// standard error.
double frechet_standard_error(const at::Tensor& a, const at::Tensor& b, RandomKey key,
                              std::int64_t resamples = 50);

}  // namespace calor::metric
