#include "calor/solve/grid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace calor::solve {
namespace {

double logit(double t) { return std::log(t) - std::log1p(-t); }

// The time at which log(A/S) at lambda = 0, which grows with t, reaches `wanted`: by bisection.
double time_of_log_snr(const path::SpectralPath& path, double wanted) {
  const at::Tensor lambda = at::zeros({1}, at::kDouble);
  double low = 0;
  double high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    const double value =
        path::log_snr(path, at::full({1}, middle, at::kDouble), lambda).item<double>();
    (value < wanted ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

std::vector<double> uniform_grid(std::int64_t steps) {
  const at::Tensor grid = at::linspace(0, 1, steps + 1, at::kFloat).to(at::kDouble);
  return {grid.data_ptr<double>(), grid.data_ptr<double>() + grid.numel()};
}

std::vector<double> log_snr_grid(const path::SpectralPath& path, std::int64_t steps, double lo,
                                 double hi) {
  if (steps == 1) return {0, 1};
  if (steps == 2) return {0, time_of_log_snr(path, 0), 1};
  const auto n = static_cast<double>(steps);
  const double first = logit(lo > 0 ? lo : std::min(0.2, std::max(0.02, 0.4 / n)));
  const double last = logit(hi > 0 ? hi : 1 - std::max(0.03, 3 / (n * n)));
  std::vector<double> grid{0};
  for (std::int64_t i = 1; i < steps; ++i) {
    const double share = static_cast<double>(i - 1) / (n - 2);
    grid.push_back(time_of_log_snr(path, first + (last - first) * share));
  }
  grid.push_back(1);
  return grid;
}

}  // namespace calor::solve
