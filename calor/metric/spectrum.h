// What a picture model does to fine detail: power by frequency, relative to real pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::metric {

// The DCT power of samples over that of real pictures in the frequencies with
// r = sqrt(i^2/H^2 + j^2/W^2) > r_min, r up to sqrt(2); 1 is right. uint8 [N, C, H, W] each.
double fine_power(const at::Tensor& samples, const at::Tensor& real, double r_min);

// How much the samples' Fourier power at the harmonics of a patch grid stands out: the ratio to
// real pictures at the harmonics over the same ratio at their neighbours (geometric means); 1 is no
// grid. `patch` divides both sides.
double patch_grid_power(const at::Tensor& samples, const at::Tensor& real, std::int64_t patch);

}  // namespace calor::metric
