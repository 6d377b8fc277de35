// Colours for numbers: from near black over indigo, crimson and orange to pale yellow, with even
// steps of perceived lightness.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace calor::report {

using Colour = std::array<std::uint8_t, 3>;  // sRGB

// The colour of v in [0, 1].
Colour colour_of(double v);

// uint8 [3, H, W] of values [H, W] (floating point), in 256 steps; values are clamped to [0, 1].
at::Tensor coloured(const at::Tensor& values);

}  // namespace calor::report
