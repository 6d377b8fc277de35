// A mean with its standard error, the form in which measured numbers are quoted.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::metric {

struct Estimate {
  double mean = 0;
  double standard_error = 0;
  std::int64_t count = 0;
};

// The mean of independent values [n], n > 1, and its standard error sqrt(unbiased variance / n).
Estimate mean_and_standard_error(const at::Tensor& values);

// The mean of a_i - b_i, for two methods measured on the same n > 1 cases (seeds, rows, pictures):
// what the cases have in common cancels, so the standard error is that of the difference.
Estimate paired_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace calor::metric
