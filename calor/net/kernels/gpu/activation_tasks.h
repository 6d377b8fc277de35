// The activations of perceptrons, and tangents times their slopes, on a GPU.
#pragma once

#include <cstdint>

#include "calor/net/kernels/activation_math.h"

namespace calor::net::kernels::gpu {

// values [rows, width]: a -> f(a + bias), and f' where it is asked for.
template <class F, class T>
struct Activate {
  T* values;
  const T* bias;  // or null
  T* slope;       // or null
  std::int64_t width;

  CALOR_INLINE void operator()(std::int64_t i) const {
    const T a = bias == nullptr ? values[i] : values[i] + bias[i % width];
    const ValueSlope<T> out = value_slope<F>(a);
    values[i] = out.value;
    if (slope != nullptr) slope[i] = out.slope;
  }
};

// out [n, k, width] = slope [n, 1, width] * tangents, with `step` from one row's tangents to the
// next one's: 0 where all share them.
template <class T>
struct ScaleTangents {
  const T* slope;
  const T* tangents;
  T* out;
  std::int64_t k, width, step;

  CALOR_INLINE void operator()(std::int64_t i) const {
    const std::int64_t row = i / (k * width), within = i - row * k * width;
    out[i] = slope[row * width + within % width] * tangents[row * step + within];
  }
};

// trace [n] = sum over k and j of slope[n, j] tangents[n, k, j] weight[k, j].
template <class T>
struct ContractTangents {
  const T* slope;
  const T* tangents;
  const T* weight;
  T* trace;
  std::int64_t k, width, step;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const T* own = slope + row * width;
    const T* in = tangents + row * step;
    T sum = 0;
    for (std::int64_t i = team.place(); i < k * width; i += Team::size) {
      sum += own[i % width] * in[i] * weight[i];
    }
    sum = team.sum(sum);
    if (team.place() == 0) trace[row] = sum;
  }
};

}  // namespace calor::net::kernels::gpu
