// A layer whose products are rounded to bf16: fp32 weights are rounded on the way, and the backward
// pass does two products and one sum, without the conversions that operator by operator would take.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// x W^T + b. x [..., in] bf16; weight [out, in] and bias [out] (or undefined) fp32 -> [..., out]
// bf16. The bias's gradient is summed in fp32. On any device.
at::Tensor rounded_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// The same, operator by operator.
at::Tensor rounded_linear_reference(const at::Tensor& x, const at::Tensor& weight,
                                    const at::Tensor& bias);

}  // namespace calor::net::kernels
