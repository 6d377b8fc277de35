// RMS normalisation in one pass forward and one backward, saving only the input and one number a
// row; and the readable reference that it is tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

inline constexpr double rms_epsilon = 1e-6;

// y = x / sqrt(mean(x^2) + 1e-6) * weight over the last dimension; x [..., d], weight [d]; fp32.
// Fused on the CPU, the reference elsewhere. Results do not depend on the number of threads.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight);

// The same, operator by operator, for any floating-point type and device.
at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight);

}  // namespace calor::net::kernels
