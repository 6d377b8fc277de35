// What a convolution along the steps of a sequence sees at each place, side by side, so that the
// convolution is one matrix product; and the adjoint.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// Which steps each of a convolution's results sees: result j sees steps j stride - padding and the
// kernel - 1 after it; zeros lie beyond the ends.
struct Windows {
  std::int64_t kernel = 1, stride = 1, padding = 0;
  std::int64_t count(std::int64_t steps) const {
    return (steps + 2 * padding - kernel) / stride + 1;
  }
};

// x [N, T, C] -> [N, count(T), kernel, C], in the given type: fp32, fp64 or (rounded to nearest)
// bf16. Differentiable.
at::Tensor step_windows(const at::Tensor& x, const Windows& windows, at::ScalarType type);

// The adjoint: windows [N, count(steps), kernel, C] -> [N, steps, C], each step the sum of its
// places in the windows, in fp32 (fp64 where they are fp64). Differentiable.
at::Tensor add_step_windows(const at::Tensor& values, std::int64_t steps, const Windows& windows);

// The two, operator by operator, for any device.
at::Tensor step_windows_reference(const at::Tensor& x, const Windows& windows, at::ScalarType type);
at::Tensor add_step_windows_reference(const at::Tensor& values, std::int64_t steps,
                                      const Windows& windows);

}  // namespace calor::net::kernels
