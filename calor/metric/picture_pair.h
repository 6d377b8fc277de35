// What all measures of pictures ask of them.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::metric {

// Error where it is not uint8 [N, C, H, W], N > 0.
void check_pictures(const at::Tensor& pictures);
// Error where either is not, or their pictures differ in channels or size.
void check_picture_pair(const at::Tensor& a, const at::Tensor& b);

}  // namespace calor::metric
