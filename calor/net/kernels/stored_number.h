// Numbers as a layer stores them (fp32, fp64, or bf16 beside fp32) and as a kernel computes with
// them. For processors and GPUs.
#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>

#include "calor/net/kernels/clones.h"

namespace calor::net::kernels {

// What numbers of the stored type S are computed in.
template <class S>
struct ComputedIn {
  using type = S;
};
template <>
struct ComputedIn<c10::BFloat16> {
  using type = float;
};
template <class S>
using Computed = typename ComputedIn<S>::type;

CALOR_INLINE float computed(float x) { return x; }
CALOR_INLINE double computed(double x) { return x; }
CALOR_INLINE float computed(c10::BFloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.x) << 16U);
}

CALOR_INLINE void store(float x, float& out) { out = x; }
CALOR_INLINE void store(double x, double& out) { out = x; }
// To the nearest, ties to even; what is no number stays none.
CALOR_INLINE void store(float x, c10::BFloat16& out) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  out.x = static_cast<std::uint16_t>(x == x ? rounded : 0x7FC0U);
}

}  // namespace calor::net::kernels
