// SwiGLU's gate in one pass forward and one backward, saving only the input; and the readable
// reference that it is tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// silu(a) b of x = [a | b] along the last dimension; x [..., 2 H], fp32, fp64 or bf16 (computed in
// fp32) -> [..., H] of the same type. Fused on the CPU and where gpu/ serves, the reference
// elsewhere. Results do not depend on the number of threads.
at::Tensor swiglu(const at::Tensor& x);

// The same, operator by operator, for any device.
at::Tensor swiglu_reference(const at::Tensor& x);

}  // namespace calor::net::kernels
