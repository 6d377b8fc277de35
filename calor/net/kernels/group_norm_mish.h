// Group normalisation, Mish and FiLM of sequences in one pass forward and one backward, saving only
// the input and two numbers a group; and the readable reference that it is tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// film_scale mish(n) + film_shift with n = (x - mean) / sqrt(variance + 1e-5) weight + bias and
// mish(n) = n tanh(ln(1 + e^n)). Mean and variance of each sequence over a group of C / groups
// neighbouring channels and all steps. x [N, T, C]; weight and bias [C]; film [N, 2 C], scale and
// shift, or undefined for mish(n) itself. fp32 or fp64. Results do not depend on the number of
// threads.
at::Tensor group_norm_mish(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                           const at::Tensor& bias, const at::Tensor& film);

// The same, operator by operator, for any device.
at::Tensor group_norm_mish_reference(const at::Tensor& x, std::int64_t groups,
                                     const at::Tensor& weight, const at::Tensor& bias,
                                     const at::Tensor& film);

}  // namespace calor::net::kernels
