// The grid that the numbers of a column lie on: multiples of a decimal step (prices in hundreds,
// coordinates in hundredths), and a few values between them (a cap such as 500001).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace calor::data {

// mantissa x 10^-decimals, exactly; mantissa 0 means that there is no step.
struct DecimalStep {
  std::int64_t mantissa = 0;
  int decimals = 0;

  explicit operator bool() const { return mantissa != 0; }
  double value() const;
  // The double nearest to k steps, for k x mantissa below 2^53: the one that a reader of the
  // decimal number would get, which k * value() is not.
  double multiple(double k) const;
  bool operator==(const DecimalStep&) const = default;
};

// "0.01", "100", "2.5", "0" (no step); at most 15 digits on either side of the point.
std::optional<DecimalStep> parse_step(std::string_view text);
std::string to_text(const DecimalStep& step);

struct NumberGrid {
  DecimalStep step;
  std::vector<double> exceptions;  // values beside the grid that the column holds, ascending

  explicit operator bool() const { return static_cast<bool>(step); }

  // The value of the grid (or exception) nearest to y; y itself where there is no step.
  double nearest(double y) const;

  // Every number between `low` and `high` is nearest to x, a value of the grid or an exception:
  // x - step/2 and x + step/2 where no exception is near.
  struct Cell {
    double low = 0;
    double high = 0;
  };
  Cell cell(double x) const;

  bool operator==(const NumberGrid&) const = default;
};

// The largest credible step of which all `values` (finite, ascending, distinct) are multiples
// within rounding: their greatest common divisor as a decimal, which is a power of ten where there
// are fewer than five values. A power of ten coarser is taken where all but a few values (four, and
// one in 500) are multiples of it; these few become exceptions. None where the values need more
// digits than measurements have (10^10 steps between 0 and the largest), as float64 noise does.
// `single`: the values were stored in single precision.
NumberGrid infer_grid(std::span<const double> values, bool single = false);

// The grid of a step that a person gave: no exceptions.
inline NumberGrid grid_of(const DecimalStep& step) { return {.step = step, .exceptions = {}}; }

}  // namespace calor::data
