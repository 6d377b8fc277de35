#include "calor/report/ticks.h"

#include <fmt/format.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::report {

std::vector<double> round_ticks(double low, double high, int wanted) {
  if (!(low < high) || !std::isfinite(high - low) || wanted < 1) {
    throw Error("a range of positive, finite length and one tick or more",
                fmt::format("{} to {}, {} ticks", low, high, wanted), "correct the range");
  }
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double slack = 1e-9 * step;
  for (double k = std::ceil((low - slack) / step); k * step <= high + slack; ++k) {
    ticks.push_back(k * step + 0.0);  // which makes 0 of -0
  }
  return ticks;
}

std::vector<double> logarithmic_ticks(double low, double high) {
  if (!(low > 0) || !(high > low)) return {low};
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  constexpr int most = 10;
  const bool few = last - first <= 3;
  const int apart = (last - first + most) / most;  // powers that are multiples of this
  std::vector<double> ticks;
  for (int power = first; power <= last; ++power) {
    if (power % apart != 0) continue;
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double v = factor * std::pow(10.0, power);
      if ((few || factor == 1) && v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9))
        ticks.push_back(v);
    }
  }
  return ticks;
}

}  // namespace calor::report
