// A column's distribution function F, piecewise linear between knots with heavy tails beyond, and
// the map z = Phi^-1(F(y)) that makes the column standard normal, exactly invertible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "calor/data/table_grid.h"
#include "calor/data/table_normal.h"

namespace calor::data {

// What F is made of: bin b between knots[b] and knots[b + 1] holds masses[b], spread evenly; below
// the first knot and above the last lie low_mass and high_mass, with the survival function
//   mass (1 + d / scale)^-3,  d the distance from the knot.
struct QuantileParts {
  std::vector<double> knots;
  std::vector<double> masses;
  double low_mass = 0;
  double high_mass = 0;
  double low_scale = 0;
  double high_scale = 0;
  bool operator==(const QuantileParts&) const = default;
};

// Fits F to `values` (finite, ascending, at least two distinct). About `most_knots` knots (at most
// the root of the number of rows) at quantiles, more closely where the distribution ends (bins of
// 8, 16, 32 ... rows), each bin of at least 8 rows, or empty between values that fill bins. On a
// grid all knots are cell edges, and a value that holds markedly more rows than its neighbourhood
// (three times as many, by four standard deviations, and one in 16 most_knots) has its own two
// edges, whatever the rows beside it, so that its pile is represented exactly. Half a row is added
// to every bin and one to each tail, so that nothing has no mass. A tail's density is that of the
// last bin where it begins; where the last bin is such a pile, the tail begins with the scale of
// the pile's cell.
QuantileParts fit_quantiles(std::span<const double> values, const NumberGrid& grid,
                            std::int64_t most_knots);

class QuantileMap {
 public:
  QuantileMap() = default;
  // Error where the parts make no distribution: `name_for_errors` says where they are from.
  QuantileMap(QuantileParts parts, const std::string& name_for_errors);

  const QuantileParts& parts() const { return parts_; }

  struct Point {
    double z = 0;
    double log_slope = 0;  // log dz/dy
  };
  Point forward(double y) const;
  // Finite for every finite z.
  double inverse(double z) const;

  // F(y) and 1 - F(y), each accurate where it is small; log f(y).
  Probability probability(double y) const;
  double log_density(double y) const;

 private:
  std::size_t bin_of(double y) const;

  QuantileParts parts_;
  // At each knot, summed from either end.
  std::vector<double> below_;
  std::vector<double> above_;
};

}  // namespace calor::data
