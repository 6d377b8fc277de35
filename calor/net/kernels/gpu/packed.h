// Numbers that one thread of a GPU reads and writes together: four at a time where they lie so that
// it can, one at a time elsewhere. Memory that is read number by number is half as fast or worse.
#pragma once

#include <cstdint>
#include <type_traits>

#include "calor/net/kernels/clones.h"

namespace calor::net::kernels::gpu {

template <int N, class S>
struct alignas(N * sizeof(S) > 16 ? 16 : N * sizeof(S)) Packed {
  S at[N];
};

// On a GPU one instruction.
template <int N, class S>
CALOR_INLINE Packed<N, S> load(const S* from) {
#ifdef __CUDA_ARCH__
  return *reinterpret_cast<const Packed<N, S>*>(from);
#else
  Packed<N, S> out;
  for (int k = 0; k < N; ++k) out.at[k] = from[k];
  return out;
#endif
}
template <int N, class S>
CALOR_INLINE void save(const Packed<N, S>& numbers, S* to) {
#ifdef __CUDA_ARCH__
  *reinterpret_cast<Packed<N, S>*>(to) = numbers;
#else
  for (int k = 0; k < N; ++k) to[k] = numbers.at[k];
#endif
}

template <class S>
CALOR_INLINE bool begins_a_pack(const S* numbers) {
  return reinterpret_cast<std::uintptr_t>(numbers) % alignof(Packed<4, S>) == 0;
}

// body(N, j) for a team's share of the numbers j of a row: N is a constant, of how many numbers
// from j on; 4 where the row's length and all these rows allow it, else 1.
template <class Team, class Body, class... Rows>
CALOR_INLINE void for_packs(Team team, std::int64_t width, const Body& body, const Rows*... rows) {
  if (width % 4 == 0 && (begins_a_pack(rows) && ...)) {
    for (std::int64_t j = 4 * team.place(); j < width; j += 4 * Team::size) {
      body(std::integral_constant<int, 4>(), j);
    }
    return;
  }
  for (std::int64_t j = team.place(); j < width; j += Team::size) {
    body(std::integral_constant<int, 1>(), j);
  }
}

}  // namespace calor::net::kernels::gpu
