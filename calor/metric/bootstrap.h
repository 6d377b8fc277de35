// The bootstrap (Efron 1979): how much a number computed from samples would change with others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "calor/core/random.h"

namespace calor::metric {

// The standard deviation of `statistic` over `resamples` > 1 draws of n > 0 of n rows with
// replacement; the statistic is given the rows' numbers, int64 [n]. A standard error: no interval
// is made of the draws themselves, since a distance between sets is larger in them throughout.
double bootstrap_standard_error(std::int64_t n, RandomKey key,
                                const std::function<double(const at::Tensor&)>& statistic,
                                std::int64_t resamples = 100);

}  // namespace calor::metric
