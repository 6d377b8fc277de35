#include "calor/path/log_snr.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace calor::path {

double log_snr_at(const SpectralPath& path, double t) {
  const at::Tensor lambda = at::zeros({1}, at::kDouble);
  return log_snr(path, at::full({1}, t, at::kDouble), lambda).item<double>();
}

// By bisection.
double time_of_log_snr(const SpectralPath& path, double wanted) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (log_snr_at(path, middle) < wanted ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::vector<double> log_snr_cuts(const SpectralPath& path, std::int64_t pieces) {
  const double noisy = std::log(0.02 / 0.98);
  const double clean = std::log(0.97 / 0.03);
  double first = log_snr_at(path, 0);
  double last = log_snr_at(path, 1);
  // An end that a path does not have lies at least 1 beyond the other.
  if (!std::isfinite(first)) first = std::isfinite(last) ? std::min(noisy, last - 1) : noisy;
  if (!std::isfinite(last)) last = std::max(clean, first + 1);
  std::vector<double> cuts{0};
  for (std::int64_t i = 1; i < pieces; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(pieces);
    cuts.push_back(time_of_log_snr(path, first + (last - first) * share));
  }
  cuts.push_back(1);
  return cuts;
}

}  // namespace calor::path
