// norm_modulate's work on a GPU: forward and backward by rows, and the sums of its backward pass.
#pragma once

#include <cstdint>

#include "calor/net/kernels/inverse_root.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

// A row of x [N L, D] and of y; shift and scale at a stride for each sample of `length` rows.
template <class S, class T = Computed<S>>
struct NormModulateForward {
  const T* x;
  const T* weight;
  const T* shift;
  const T* scale;
  S* y;
  T* inverse;  // [N L]
  std::int64_t shift_stride, scale_stride, length, width;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const T* in = x + row * width;
    const T* move = shift + row / length * shift_stride;
    const T* stretch = scale + row / length * scale_stride;
    T squares = 0;
    for (std::int64_t j = team.place(); j < width; j += Team::size) squares += in[j] * in[j];
    const T r = inverse_root(team.sum(squares), width);
    if (team.place() == 0) inverse[row] = r;
    for (std::int64_t j = team.place(); j < width; j += Team::size) {
      store(in[j] * r * weight[j] * (T(1) + stretch[j]) + move[j], y[row * width + j]);
    }
  }
};

// With u = x r the normalised input, m = weight (1 + scale) and h = g m: dx = r (h - u mean(h u)).
template <class S, class T = Computed<S>>
struct NormModulateBackward {
  const S* gradient;
  const T* x;
  const T* weight;
  const T* scale;
  const T* inverse;
  T* dx;
  std::int64_t scale_stride, length, width;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const S* g = gradient + row * width;
    const T* in = x + row * width;
    const T* stretch = scale + row / length * scale_stride;
    const T r = inverse[row];
    T dot = 0;
    for (std::int64_t j = team.place(); j < width; j += Team::size) {
      dot += computed(g[j]) * weight[j] * (T(1) + stretch[j]) * in[j];
    }
    const T share = team.sum(dot) * r * r / static_cast<T>(width);
    for (std::int64_t j = team.place(); j < width; j += Team::size) {
      const T h = computed(g[j]) * weight[j] * (T(1) + stretch[j]);
      dx[row * width + j] = r * (h - in[j] * share);
    }
  }
};

// Of one column over a sample's rows: dshift = sum g, dscale = weight sum g u and the sample's part
// of dweight = (1 + scale) sum g u; each [N, D].
template <class S, class T = Computed<S>>
struct NormModulateSums {
  using Number = T;
  static constexpr int sums = 2;

  const S* gradient;
  const T* x;
  const T* weight;
  const T* scale;
  const T* inverse;
  T* dshift;
  T* dscale;
  T* dweight;
  std::int64_t scale_stride, length, width;

  CALOR_INLINE void add(std::int64_t sample, std::int64_t l, std::int64_t j, T (&sum)[2]) const {
    const std::int64_t row = sample * length + l;
    const T g = computed(gradient[row * width + j]);
    sum[0] += g;
    sum[1] += g * x[row * width + j] * inverse[row];
  }
  CALOR_INLINE void finish(std::int64_t sample, std::int64_t j, const T (&sum)[2]) const {
    const std::int64_t at = sample * width + j;
    dshift[at] = sum[0];
    dscale[at] = weight[j] * sum[1];
    dweight[at] = (T(1) + scale[sample * scale_stride + j]) * sum[1];
  }
};

}  // namespace calor::net::kernels::gpu
