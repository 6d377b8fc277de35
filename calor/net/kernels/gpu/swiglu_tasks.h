// swiglu's work on a GPU, row by row.
#pragma once

#include <cstdint>

#include "calor/net/kernels/activation_math.h"
#include "calor/net/kernels/gpu/packed.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

// y [rows, width] = silu(a) b of x [rows, 2 width] = [a | b].
template <class S>
struct SwigluForward {
  const S* x;
  S* y;
  std::int64_t width;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const S* a = x + 2 * row * width;
    const S* b = a + width;
    S* out = y + row * width;
    const auto pack = [&](auto n, std::int64_t j) {
      constexpr int N = decltype(n)::value;
      const auto first = load<N>(a + j), second = load<N>(b + j);
      Packed<N, S> result;
      for (int k = 0; k < N; ++k) {
        store(Silu::both(computed(first.at[k])).value * computed(second.at[k]), result.at[k]);
      }
      save<N>(result, out + j);
    };
    for_packs(team, width, pack, a, b, out);
  }
};

template <class S>
struct SwigluBackward {
  const S* gradient;
  const S* x;
  S* dx;
  std::int64_t width;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const S* g = gradient + row * width;
    const S* a = x + 2 * row * width;
    const S* b = a + width;
    S* da = dx + 2 * row * width;
    S* db = da + width;
    const auto pack = [&](auto n, std::int64_t j) {
      constexpr int N = decltype(n)::value;
      const auto first = load<N>(a + j), second = load<N>(b + j), of = load<N>(g + j);
      Packed<N, S> to_first, to_second;
      for (int k = 0; k < N; ++k) {
        const auto silu = Silu::both(computed(first.at[k]));
        const auto own = computed(of.at[k]);
        store(own * computed(second.at[k]) * silu.slope, to_first.at[k]);
        store(own * silu.value, to_second.at[k]);
      }
      save<N>(to_first, da + j);
      save<N>(to_second, db + j);
    };
    for_packs(team, width, pack, g, a, b, da, db);
  }
};

}  // namespace calor::net::kernels::gpu
