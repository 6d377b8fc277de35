#include "calor/solve/step_control.h"

#include <algorithm>
#include <cmath>

namespace calor::solve {
namespace {

// The PI controller of DOPRI5 (Hairer, Norsett and Wanner, "Solving ordinary differential equations
// I" and "II", IV.2): h' = h safety err^-alpha last_err^beta.
constexpr double beta = 0.04;
constexpr double safety = 0.9;
constexpr double least_factor = 0.2;
constexpr double least_error = 1e-4;  // a lucky step does not make the next one cautious

}  // namespace

void Clock::aim_at(double end) {
  last = std::abs(end - t) <= 1.01 * std::abs(h);
  if (last) h = end - t;
}

bool Clock::judge(double error, double end, int order, double greatest_growth) {
  if (!std::isfinite(error)) {
    h *= least_factor;
    after_rejection = true;
    return false;
  }
  const double alpha = 1.0 / order - 0.75 * beta;
  const double size = safety * std::pow(std::max(error, 1e-10), -alpha);
  if (error > 1) {
    h *= std::clamp(size, least_factor, 1.0);
    after_rejection = true;
    return false;
  }
  t = last ? end : t + h;
  const double greatest = after_rejection ? 1 : greatest_growth;
  h *= std::clamp(size * std::pow(last_error, beta), least_factor, greatest);
  last_error = std::max(error, least_error);
  after_rejection = false;
  return true;
}

double trial_step(double state, double derivative) {
  return state < 1e-5 || derivative < 1e-5 ? 1e-6 : 0.01 * state / derivative;
}

double first_step(double h0, double derivative, double second_derivative, int order) {
  const double greatest = std::max(derivative, second_derivative);
  if (!std::isfinite(greatest)) return h0;
  const double h1 =
      greatest <= 1e-15 ? std::max(1e-6, 1e-3 * h0) : std::pow(0.01 / greatest, 1.0 / (order + 1));
  return std::min(100 * h0, h1);
}

}  // namespace calor::solve
