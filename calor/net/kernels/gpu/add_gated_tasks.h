// add_gated's work on a GPU.
#pragma once

#include <cstdint>

#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

// A row of y = x + gate branch, each [N L, D]; the gate at a stride for each sample.
template <class S, class T = Computed<S>>
struct AddGatedForward {
  const T* x;
  const T* gate;
  const S* branch;
  T* y;
  std::int64_t gate_stride, length, width;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const T* weight = gate + row / length * gate_stride;
    for (std::int64_t j = team.place(); j < width; j += Team::size) {
      const std::int64_t at = row * width + j;
      y[at] = x[at] + weight[j] * computed(branch[at]);
    }
  }
};

// One column of a sample: dbranch = gate g, and dgate [N, D] = sum g branch over the rows.
template <class S, class T = Computed<S>>
struct AddGatedBackward {
  using Number = T;
  static constexpr int sums = 1;

  const T* gradient;
  const T* gate;
  const S* branch;
  S* dbranch;
  T* dgate;
  std::int64_t gate_stride, length, width;

  CALOR_INLINE void add(std::int64_t sample, std::int64_t l, std::int64_t j, T (&sum)[1]) const {
    const std::int64_t at = (sample * length + l) * width + j;
    sum[0] += gradient[at] * computed(branch[at]);
    store(gradient[at] * gate[sample * gate_stride + j], dbranch[at]);
  }
  CALOR_INLINE void finish(std::int64_t sample, std::int64_t j, const T (&sum)[1]) const {
    dgate[sample * width + j] = sum[0];
  }
};

}  // namespace calor::net::kernels::gpu
