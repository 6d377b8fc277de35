#include "calor/solve/grid.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/path/log_snr.h"

namespace calor::solve {
namespace {

double logit(double t) { return std::log(t) - std::log1p(-t); }

// Where the grid of this many steps begins and ends, 0 and 1 aside.
double first_log_snr(std::int64_t steps) {
  return logit(std::min(0.2, std::max(0.02, 0.4 / static_cast<double>(steps))));
}
double last_log_snr(std::int64_t steps) {
  const auto n = static_cast<double>(steps);
  return logit(1 - std::max(0.03, 3 / (n * n)));
}

}  // namespace

std::vector<double> uniform_grid(std::int64_t steps) {
  const at::Tensor grid = at::linspace(0, 1, steps + 1, at::kFloat).to(at::kDouble);
  return {grid.data_ptr<double>(), grid.data_ptr<double>() + grid.numel()};
}

std::vector<double> leading_grid(std::int64_t steps) {
  constexpr std::int64_t schedule = 100;
  if (steps >= schedule) return uniform_grid(steps);
  require_usage(steps >= 4, "sample.grid = leading with four solver steps or more",
                fmt::format("{}", steps),
                "take more steps, or sample.grid = uniform: leading ones begin after the noise");
  std::vector<double> grid;
  for (std::int64_t i = 1; i <= steps; ++i) {
    const double place = static_cast<double>(i) / static_cast<double>(steps);
    grid.push_back(place - 1.0 / static_cast<double>(schedule));
  }
  grid.push_back(1);
  return grid;
}

std::vector<double> log_snr_grid(const path::SpectralPath& path, std::int64_t steps, double lo,
                                 double hi) {
  if (steps == 1) return {0, 1};
  if (steps == 2) return {0, path::time_of_log_snr(path, 0), 1};
  const double first = lo > 0 ? logit(lo) : first_log_snr(steps);
  const double last = hi > 0 ? logit(hi) : last_log_snr(steps);
  const auto n = static_cast<double>(steps);
  std::vector<double> grid{0};
  for (std::int64_t i = 1; i < steps; ++i) {
    const double share = static_cast<double>(i - 1) / (n - 2);
    grid.push_back(path::time_of_log_snr(path, first + (last - first) * share));
  }
  grid.push_back(1);
  return grid;
}

std::vector<double> log_snr_ranges(const std::vector<path::StageStep>& steps, std::int64_t count) {
  const std::int64_t n = std::max<std::int64_t>(count, 2);
  const double low = first_log_snr(n);
  const double high = std::max(last_log_snr(n), low);
  // ln(kept/spread) at an OU time.
  const auto at_time = [&](double time) {
    const double value = -time - std::log(-std::expm1(-2 * time)) / 2;
    return time > 0 ? std::clamp(value, low, high) : high;
  };
  std::vector<double> ranges;
  for (const auto& step : steps) {
    const double right = step.free ? low : at_time(step.start + step.gamma);
    ranges.push_back(at_time(step.start) - right);
  }
  return ranges;
}

// One to each, the rest one by one to whoever has the most weight for each step so far.
std::vector<std::int64_t> share_steps(std::int64_t count, const std::vector<double>& weights) {
  std::vector<std::int64_t> shares(weights.size(), 1);
  for (auto given = static_cast<std::int64_t>(weights.size()); given < count; ++given) {
    std::size_t neediest = 0;
    for (std::size_t i = 1; i < weights.size(); ++i) {
      const auto need = [&](std::size_t k) {
        return weights[k] / static_cast<double>(shares[k] + 1);
      };
      if (need(i) > need(neediest)) neediest = i;
    }
    ++shares[neediest];
  }
  return shares;
}

}  // namespace calor::solve
