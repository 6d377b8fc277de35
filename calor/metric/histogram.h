// The colours of pictures, whatever lies where: histograms of each channel, and how far apart they
// are.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::metric {

// For each picture and channel the share of pixels that have each of the 256 values: float64 [N, C,
// 256] of uint8 [N, C, H, W]. Works in pieces.
at::Tensor channel_histograms(const at::Tensor& pictures);

// The Wasserstein-1 distance between the values of two sets of pictures, channel by channel:
// float64 [C], with black at 0 and full brightness at 1. From channel_histograms [N, C, 256] and
// [M, C, 256], which count equally within their set.
at::Tensor histogram_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace calor::metric
