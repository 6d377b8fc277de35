// Squared maximum mean discrepancy (Gretton et al. 2012) between two sets of samples.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/core/random.h"
#include "calor/metric/estimate.h"

namespace calor::metric {

// The unbiased estimate (it can be negative) with all pairs of a [n, d] and b [m, d], n and m > 1.
// Kernel (x.y/d + 1)^3: that of KID (Binkowski et al. 2018).
double mmd2_polynomial(const at::Tensor& a, const at::Tensor& b);
// Kernel exp(-|x - y|^2 / (2 bandwidth^2)).
double mmd2_gaussian(const at::Tensor& a, const at::Tensor& b, double bandwidth);

// The median distance between different samples of both sets (of 1000 at random from each): the
// usual bandwidth.
double median_distance(const at::Tensor& a, const at::Tensor& b, RandomKey key);

// KID as it is quoted: mmd2_polynomial of random subsets of each set, and its mean over them. Draws
// overlap, so the standard error speaks of the subsets, not of new samples. Name the features.
Estimate kernel_distance(const at::Tensor& a, const at::Tensor& b, RandomKey key,
                         std::int64_t subsets = 100, std::int64_t subset_size = 1000);

}  // namespace calor::metric
