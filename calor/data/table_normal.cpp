#include "calor/data/table_normal.h"

#include <algorithm>

namespace calor::data {

double log_normal_cdf(double z) {
  if (z > -20) return std::log(0.5 * std::erfc(-z / std::numbers::sqrt2));
  // Abramowitz and Stegun 26.2.12; the next term is below 1e-12.
  const double r = 1 / (z * z);
  const double series = r * (-1 + r * (3 + r * (-15 + r * (105 + r * (-945 + r * 10395)))));
  return log_normal_density(z) - std::log(-z) + std::log1p(series);
}

double normal_quantile(double log_p) {
  log_p = std::min(log_p, -std::numbers::ln2);
  // Abramowitz and Stegun 26.2.23, within 4.5e-4.
  const double t = std::sqrt(-2 * log_p);
  double z = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                       (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (int step = 0; step < 2; ++step) {
    // With g = log Phi(z) - log p: g' = phi/Phi =: h, g'' = -h (z + h).
    const double log_cdf = log_normal_cdf(z);
    const double g = log_cdf - log_p;
    const double h = std::exp(log_normal_density(z) - log_cdf);
    z -= g / (h * (1 + 0.5 * g * (z + h) / h));
  }
  return std::min(z, 0.0);
}

}  // namespace calor::data
