// RMS normalisation, then a shift and a scale of the condition (adaLN), in one pass forward and one
// backward, saving only the input and one number a row; and the readable reference that it is
// tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// y = n (1 + scale) + shift, n = x / sqrt(mean(x^2) + 1e-6) * weight over the last dimension.
// x [N, L, D] fp32 or fp64; weight [D]; shift, scale [N, D]; y in `type`, which is that of x or
// bf16. Fused on the CPU and where gpu/ serves, the reference elsewhere. Results do not depend on
// the number of threads.
at::Tensor norm_modulate(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& shift,
                         const at::Tensor& scale, at::ScalarType type);

// The same, operator by operator, for any device.
at::Tensor norm_modulate_reference(const at::Tensor& x, const at::Tensor& weight,
                                   const at::Tensor& shift, const at::Tensor& scale,
                                   at::ScalarType type);

// n itself, operator by operator; x [..., D].
at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight);

}  // namespace calor::net::kernels
