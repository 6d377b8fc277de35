// The energy distance (Szekely and Rizzo 2013) between two sets of samples: 0 only between equal
// laws, and free of settings.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::metric {

// 2 E|x - y| - E|x - x'| - E|y - y'|, without a root.
struct EnergyDistance {
  double v = 0;  // means over all pairs, each with itself included: never negative, biased upwards
  double u = 0;  // without those: unbiased, can be negative
};

// a [n, d], b [m, d], n and m > 1; all pairs.
EnergyDistance energy_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace calor::metric
