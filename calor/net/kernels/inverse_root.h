// What RMS normalisation multiplies a row by, for processors and GPUs.
#pragma once

#include <cmath>
#include <cstdint>

#include "calor/net/kernels/clones.h"

namespace calor::net::kernels {

inline constexpr double rms_epsilon = 1e-6;

// One over the root of a row's mean square, of the sum of its `width` squares.
template <class T>
CALOR_INLINE T inverse_root(T squares, std::int64_t width) {
  return T(1) / std::sqrt(squares / static_cast<T>(width) + static_cast<T>(rms_epsilon));
}

}  // namespace calor::net::kernels
