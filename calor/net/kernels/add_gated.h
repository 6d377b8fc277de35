// The end of a residual branch, gated by the condition, in one pass forward and one backward; and
// the readable reference that it is tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// x + gate * branch. x [N, L, D] fp32 or fp64; gate [N, D]; branch [N, L, D] of the type of x or
// bf16; the result has the type of x. Fused on the CPU and where gpu/ serves, the reference
// elsewhere. Results do not depend on the number of threads.
at::Tensor add_gated(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch);

// The same, operator by operator, for any device.
at::Tensor add_gated_reference(const at::Tensor& x, const at::Tensor& gate,
                               const at::Tensor& branch);

}  // namespace calor::net::kernels
