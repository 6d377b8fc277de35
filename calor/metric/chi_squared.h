// The chi-squared divergence of Gaussians, in which the theory of local flow matching is written
// (arXiv 2410.02548): every Ornstein-Uhlenbeck step contracts it by e^(-2 gamma) at least, and maps
// that can be inverted keep it.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::metric {

// chi^2(P | Q) = E_Q (dP/dQ)^2 - 1 for P with independent coefficients N(mean, p) and Q with
// N(0, q). Coefficient by coefficient
//
//     1 + chi^2 = q / sqrt(p (2q - p)) exp(mean^2 / (2q - p)),
//
// infinite where p >= 2q, and the whole is their product. p, q > 0 and the mean: float64 of shapes
// that broadcast; a mean that is not given is 0.
double chi_squared(const at::Tensor& p, const at::Tensor& q, const at::Tensor& mean = {});

}  // namespace calor::metric
