// The normal distribution with its tails, for maps that turn probabilities into points of the line
// and back without loss: everything goes through the logarithm of the smaller tail.
#pragma once

#include <cmath>
#include <numbers>

namespace calor::data {

// log of the standard normal density.
inline double log_normal_density(double z) {
  constexpr double log_root_two_pi = 0.91893853320467274178;
  return -0.5 * z * z - log_root_two_pi;
}

// log P(Z <= z), accurate for z <= 0 however small.
double log_normal_cdf(double z);

// The z <= 0 with log P(Z <= z) = log_p, for log_p <= log(1/2): a Newton step of third order
// (Halley) from a rational start. Relative error below 1e-14 on the whole line.
double normal_quantile(double log_p);

// A number of [0, 1] by both of its ends, so that neither end is lost to rounding.
struct Probability {
  double below = 0;
  double above = 0;  // 1 - below
};

// Phi^-1 from the smaller of the two.
inline double normal_score(const Probability& p) {
  return p.below <= p.above ? normal_quantile(std::log(p.below))
                            : -normal_quantile(std::log(p.above));
}

}  // namespace calor::data
