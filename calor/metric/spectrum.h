// What a picture model does to detail: power by frequency, relative to real pictures.
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

// Radial bands of DCT frequencies: band k holds those whose r is within half a step of k steps of
// 1/min(H, W). Band 0 is the mean alone. The bands' r, float64 [K].
at::Tensor radial_bands(std::int64_t height, std::int64_t width);
// The mean power of each picture in each band, over its frequencies and the channels, of pixels in
// [-1, 1]: float64 [N, K] of uint8 [N, C, H, W]. Works in pieces.
at::Tensor radial_power(const at::Tensor& pictures);

// The samples' mean power over the real pictures' in each band: float64 [K] from radial_power's [N,
// K] and [M, K]. The power that rounding to bytes brings is added to both, so that bands that are
// empty in both count as equal.
at::Tensor radial_power_ratio(const at::Tensor& samples, const at::Tensor& real);
// The mean over the bands, but for the mean's, of |log10 of that ratio|: 0 is right, 1 is a factor
// of 10 throughout.
double spectrum_distance(const at::Tensor& samples, const at::Tensor& real);

}  // namespace calor::metric
