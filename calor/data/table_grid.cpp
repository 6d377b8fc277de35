#include "calor/data/table_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace calor::data {
namespace {

constexpr int most_decimals = 15;
constexpr double most_steps = 1e10;          // of a credible grid, from 0 to the largest value
constexpr double most_units_double = 1e13;   // in which decimals are looked for; a random double
constexpr double most_units_single = 1.6e6;  // (single) passes with a chance below 1 % (10 %)
constexpr std::size_t most_exceptions = 4;
constexpr std::size_t values_per_exception = 500;
constexpr std::size_t values_for_a_divisor = 5;

double power_of_ten(int exponent) {
  static constexpr std::array<double, most_decimals + 1> powers{
      1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  return powers.at(static_cast<std::size_t>(exponent));
}

// How many decimals write all values exactly; empty where too many would be needed.
std::optional<int> decimals_of(std::span<const double> values, bool single) {
  const double largest = std::max(std::abs(values.front()), std::abs(values.back()));
  const double most_units = single ? most_units_single : most_units_double;
  const auto fits = [&](double value, double scale) {
    const double decimal = std::round(value * scale) / scale;
    return single ? static_cast<float>(decimal) == static_cast<float>(value) : decimal == value;
  };
  int decimals = 0;
  for (const double value : values) {
    while (!fits(value, power_of_ten(decimals))) {
      if (++decimals > most_decimals || largest * power_of_ten(decimals) > most_units) return {};
    }
  }
  return decimals;
}

std::vector<std::int64_t> in_units(std::span<const double> values, int decimals) {
  std::vector<std::int64_t> units(values.size());
  std::ranges::transform(values, units.begin(), [&](double value) {
    return static_cast<std::int64_t>(std::llround(value * power_of_ten(decimals)));
  });
  return units;
}

// The step times ten as often as only a few values object.
std::int64_t coarsen(std::span<const std::int64_t> units, std::int64_t step) {
  const std::size_t allowed = std::min(most_exceptions, units.size() / values_per_exception);
  while (step <= 1'000'000'000'000) {
    std::size_t objecting = 0;
    for (const std::int64_t unit : units) {
      if (unit % (10 * step) != 0 && ++objecting > allowed) return step;
    }
    step *= 10;
  }
  return step;
}

}  // namespace

double DecimalStep::value() const { return multiple(1); }

double DecimalStep::multiple(double k) const {
  return k * static_cast<double>(mantissa) / power_of_ten(decimals);
}

std::optional<DecimalStep> parse_step(std::string_view text) {
  DecimalStep step;
  int digits = 0;
  bool point = false;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9' && digits < most_decimals) {
      step.mantissa = 10 * step.mantissa + (c - '0');
      if (step.mantissa > 0) ++digits;
      if (point && ++step.decimals > most_decimals) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (text.empty() || text == ".") return std::nullopt;
  while (step.decimals > 0 && step.mantissa % 10 == 0) {
    step.mantissa /= 10;
    --step.decimals;
  }
  return step;
}

std::string to_text(const DecimalStep& step) {
  return fmt::format("{:.{}f}", step.value(), step.decimals);
}

double NumberGrid::nearest(double y) const {
  if (!step) return y;
  // + 0.0: no negative zero.
  double best = step.multiple(std::round(y / step.value())) + 0.0;
  for (const double exception : exceptions) {
    if (std::abs(exception - y) < std::abs(best - y)) best = exception;
  }
  return best;
}

NumberGrid::Cell NumberGrid::cell(double x) const {
  const double k = x / step.value();
  const double whole = std::round(k);
  const bool on_grid = step.multiple(whole) == x;
  double before = step.multiple(on_grid ? whole - 1 : std::floor(k));
  double after = step.multiple(on_grid ? whole + 1 : std::ceil(k));
  for (const double exception : exceptions) {
    if (exception < x) before = std::max(before, exception);
    if (exception > x) after = std::min(after, exception);
  }
  return {.low = (before + x) / 2, .high = (x + after) / 2};
}

NumberGrid infer_grid(std::span<const double> values, bool single) {
  if (values.empty()) return {};
  const double largest = std::max(std::abs(values.front()), std::abs(values.back()));
  const auto decimals = decimals_of(values, single);
  if (!decimals || largest * power_of_ten(*decimals) > 0x1p53) return {};
  const std::vector<std::int64_t> units = in_units(values, *decimals);
  std::int64_t divisor = 0;
  for (const std::int64_t unit : units) divisor = std::gcd(divisor, unit);
  if (divisor == 0) return grid_of({.mantissa = 1, .decimals = 0});  // the only value is 0
  if (values.size() < values_for_a_divisor) {
    std::int64_t power = 1;
    while (divisor % (10 * power) == 0) power *= 10;
    divisor = power;
  }
  divisor = coarsen(units, divisor);
  NumberGrid grid{.step = {.mantissa = divisor, .decimals = *decimals}, .exceptions = {}};
  while (grid.step.decimals > 0 && grid.step.mantissa % 10 == 0) {
    grid.step.mantissa /= 10;
    --grid.step.decimals;
  }
  if (largest > most_steps * grid.step.value()) return {};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (units[i] % divisor != 0) grid.exceptions.push_back(values[i]);
  }
  return grid;
}

}  // namespace calor::data
