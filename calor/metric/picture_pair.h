// What all measures of pictures ask of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace calor::metric {

// Error where it is not uint8 [N, C, H, W], N > 0.
void check_pictures(const at::Tensor& pictures);
// Error where either is not, or their pictures differ in channels or size.
void check_picture_pair(const at::Tensor& a, const at::Tensor& b);

// Consecutive pictures, as many at a time as have some four million values, so that what is worked
// out of them stays small.
std::vector<at::Tensor> in_pieces(const at::Tensor& pictures);

}  // namespace calor::metric
