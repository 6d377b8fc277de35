// Who shares the work on one row: the threads of a warp on a GPU; on a processor, where tests run
// the same tasks, one thread alone. A task takes every size-th number from its place on, and what
// the members have each summed up, sum() adds.
#pragma once

#include "calor/net/kernels/clones.h"

namespace calor::net::kernels::gpu {

struct Alone {
  static constexpr int size = 1;
  CALOR_INLINE static int place() { return 0; }
  template <class T>
  CALOR_INLINE static T sum(T x) {
    return x;
  }
};

#ifdef __CUDACC__
struct Warp {
  static constexpr int size = 32;
  __device__ static int place() { return static_cast<int>(threadIdx.x) % size; }
  // The same sum for each member, added in the same order every time.
  template <class T>
  __device__ static T sum(T x) {
    for (int apart = size / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(~0U, x, apart);
    return x;
  }
};
#endif

}  // namespace calor::net::kernels::gpu
