// Whether the kernels that this program brings for GPUs compute here what the references do: asked
// once a device, by a small problem for each operator, before any of them is relied upon.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels::gpu {

// True where every fused operator agrees with its reference on this GPU, results and gradients to
// 1e-4; else one line on stderr names the operator, and the references serve. Takes milliseconds.
bool trusted(const at::Device& device);

// The largest relative difference (norms, fp32) between operators and references of results and
// gradients, on any device that has tasks, and whose it is; NaN where one has no number.
struct Disagreement {
  const char* name;
  double error;
};
Disagreement largest_disagreement(const at::Device& device);

}  // namespace calor::net::kernels::gpu
