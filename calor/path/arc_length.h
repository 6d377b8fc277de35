// Borders of a chain chosen from the data: every stage carries the law equally far.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace calor::path {

// The data as independent Gaussian coefficients: variances, squared means and eigenvalues lambda,
// all float64 of one shape.
struct DataSpectrum {
  at::Tensor variance, squared_mean, lambda;
};

// The path of Gaussian laws that the process dx = -theta x dt + sqrt(2 theta) dw, theta = 1 + rho
// lambda, runs through from the data (OU time 0) to N(0, 1) (infinity), measured by W2: coefficient
// by coefficient the deviation is sqrt(c), c = 1 + e^(-2 theta T)(C - 1), the mean m e^(-theta T).
//
// The OU times of `stages` - 1 steps that cut the path, together with the free stage behind them,
// into `stages` pieces of equal length (METHODS: equal W2 arc length).
struct ArcLength {
  double length = 0;
  std::vector<double> gammas;
};
ArcLength equal_arc_length(const DataSpectrum& data, double rho, int stages);

}  // namespace calor::path
