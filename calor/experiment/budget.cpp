#include "calor/experiment/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"

namespace calor::experiment {

Cost cost_of(const Trial& shorter, const Trial& longer) {
  const auto more = static_cast<double>(longer.steps - shorter.steps);
  const double step = longer.seconds > shorter.seconds
                          ? (longer.seconds - shorter.seconds) / more
                          : longer.seconds / static_cast<double>(longer.steps);
  const double start = shorter.seconds - step * static_cast<double>(shorter.steps);
  return {.start = std::max(0.0, start), .step = step};
}

double seconds_of(std::span<const Training> trainings, double scale) {
  double seconds = 0;
  for (const auto& [cost, steps] : trainings) {
    seconds += cost.start + scale * cost.step * static_cast<double>(steps);
  }
  return seconds;
}

double scale_for_budget(std::span<const Training> trainings, double seconds, std::int64_t at_once) {
  if (trainings.empty()) return 1;
  constexpr double least = 1e-4;
  const double starts = seconds_of(trainings, 0);
  const double steps = seconds_of(trainings, 1) - starts;
  const auto together = static_cast<double>(std::min(at_once, std::ssize(trainings)));
  const double scale = (seconds * together - starts) / steps;
  if (scale >= least) return scale;
  const double least_minutes = (starts + least * steps) / (60 * together);
  throw usage_error(fmt::format("--budget {:.1f} or more: to start {} trainings takes as long",
                                std::ceil(10 * least_minutes) / 10, trainings.size()),
                    fmt::format("--budget {:.3g}", seconds / 60),
                    "give it more minutes, or fewer seeds");
}

}  // namespace calor::experiment
