// The members of the family (docs/methods.md, table of paths).
#pragma once

#include <memory>
#include <string>

#include "calor/path/spectral_path.h"

namespace calor::path {

// A = t t^(a lambda), S = 1 - t: heat dissipation; the linear path (CondOT) at a = 0. t is taken as
// at least 1e-4 inside the power.
std::unique_ptr<SpectralPath> heat_path(std::string name, double a);

// A = sin(pi t/2), S = cos(pi t/2): InterFlow.
std::unique_ptr<SpectralPath> trigonometric_path();

// Diffusion's squared-cosine schedule (Nichol and Dhariwal, arXiv 2102.09672, equation 17), u = 1 -
// t,
//     A^2 = cos^2(pi/2 (u + .008)/1.008) / cos^2(pi/2 .008/1.008),    S = sqrt(1 - A^2).
// It would end with A = 0 at t = 0. In 100 discrete steps, whose beta is at most .999, it ends with
// A^2 = .001 A(.01)^2 instead: t is taken as at least the time, 3.2e-4, at which that is reached,
// so A >= 4.9e-4, and the times i/100 have the schedule of DDPM with 100 steps.
std::unique_ptr<SpectralPath> cosine_path();

// A = exp(-u^2 (b1 - b0)/4 - u b0/2), u = 1 - t, S = sqrt(1 - A^2): diffusion with linear beta.
std::unique_ptr<SpectralPath> variance_preserving_path(double beta_min, double beta_max);

// Blurring diffusion (arXiv 2209.05557): A = cos(phi) d, S = sin(phi),
// d = (1 - d0) exp(-lambda sigma_B^2/2) + d0, sigma_B = sigma_max sin^2(pi (1 - t)/2).
std::unique_ptr<SpectralPath> blurring_path(double sigma_max, double blur_floor);

// Inverse heat dissipation (IHDM, arXiv 2206.13397): A = exp(-lambda sigma_B^2/2), S the same at
// every time. At level k of K, t = 1 - k/K,
//     sigma_B = sigma_min (sigma_max/sigma_min)^((k - 1)/(K - 1)),  and 0 at k = 0;
// between levels the same formula, between 1 and 0 a straight line. UsageError where sigma_max is
// below sigma_min.
struct Levels {
  std::int64_t levels = 100;  // K
  double sigma_min = 0.5;     // pixels, at k = 1
  double sigma_max = 20;      // at k = K
  double noise = 0.02;        // S
};
std::unique_ptr<SpectralPath> ihdm_path(const Levels& levels);

}  // namespace calor::path
