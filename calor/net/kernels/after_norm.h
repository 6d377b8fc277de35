// What follows a group norm. For processors and GPUs.
#pragma once

#include <cstdint>

#include "calor/net/kernels/activation_math.h"

namespace calor::net::kernels {

// f of what is normalised.
enum class AfterNorm : std::uint8_t {
  nothing,  // n itself
  silu,     // n / (1 + exp(-n))
  mish,     // n tanh(ln(1 + exp(n)))
};

struct Identity {
  template <class T>
  CALOR_INLINE static ValueSlope<T> both(T n) {
    return {n, T(1)};
  }
};

template <class T>
CALOR_INLINE ValueSlope<T> after_norm(AfterNorm f, T n) {
  switch (f) {
    case AfterNorm::nothing:
      break;
    case AfterNorm::silu:
      return Silu::both(n);
    case AfterNorm::mish:
      return Mish::both(n);
  }
  return Identity::both(n);
}

inline constexpr double group_norm_epsilon = 1e-5;

}  // namespace calor::net::kernels
