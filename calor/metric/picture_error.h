// How far a restored picture is from the true one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::metric {

// Peak signal-to-noise ratio of each picture in dB, 10 log10(4 / mean square), for pictures
// [N, C, H, W] of the range [-1, 1]; infinite where they agree. float64 [N].
at::Tensor psnr(const at::Tensor& made, const at::Tensor& truth);

// The side of SSIM's window; no picture may be smaller.
inline constexpr std::int64_t ssim_window = 11;
// Structural similarity of each picture (Wang, Bovik, Sheikh and Simoncelli, 2004): a normal window
// of 11 x 11 pixels and deviation 1.5, K = (.01, .03), the mean over all places where the window is
// inside the picture, and over channels. Pictures [N, C, H, W] in [-1, 1] are taken to [0, 1]. At
// most 1. float64 [N].
at::Tensor ssim(const at::Tensor& made, const at::Tensor& truth);

}  // namespace calor::metric
