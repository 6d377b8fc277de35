// Group normalisation (Wu and He, 2018) with the activation and FiLM that follow it, in one pass
// forward and one backward, saving only the input and two numbers a group; and the readable
// reference that it is tested against.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/net/kernels/after_norm.h"

namespace calor::net::kernels {

// y = film_scale f(n) + film_shift with n = (x - mean) / sqrt(variance + 1e-5) scale + shift, mean
// and variance of each sample over a group of C / groups neighbouring channels and all places.
struct GroupNorm {
  std::int64_t groups = 1;
  at::Tensor scale, shift;  // [1, C]; or [N, C], each sample its own
  AfterNorm f = AfterNorm::nothing;
  at::Tensor film = {};  // [N, 2 C], scale and shift; undefined: y = f(n)
};

// x [N, T, C], C numbers at each of T places (steps of a sequence, pixels of a picture), to y of
// the given type. fp32 or fp64, or bf16 beside fp32: x, y or both may be bf16, scale, shift and
// film are not. First derivatives only. Results do not depend on the number of threads.
at::Tensor group_norm(const at::Tensor& x, const GroupNorm& norm, at::ScalarType type);

// The same, operator by operator, for any device.
at::Tensor group_norm_reference(const at::Tensor& x, const GroupNorm& norm, at::ScalarType type);

}  // namespace calor::net::kernels
