// swiglu's work on a GPU, number by number.
#pragma once

#include <cstdint>

#include "calor/net/kernels/activation_math.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

// y [rows, width] = silu(a) b of x [rows, 2 width] = [a | b].
template <class S>
struct SwigluForward {
  const S* x;
  S* y;
  std::int64_t width;

  CALOR_INLINE void operator()(std::int64_t i) const {
    const S* a = x + i + i / width * width;
    store(Silu::both(computed(a[0])).value * computed(a[width]), y[i]);
  }
};

template <class S>
struct SwigluBackward {
  const S* gradient;
  const S* x;
  S* dx;
  std::int64_t width;

  CALOR_INLINE void operator()(std::int64_t i) const {
    const std::int64_t at = i + i / width * width;
    const auto silu = Silu::both(computed(x[at]));
    const auto g = computed(gradient[i]);
    store(g * computed(x[at + width]) * silu.slope, dx[at]);
    store(g * silu.value, dx[at + width]);
  }
};

}  // namespace calor::net::kernels::gpu
