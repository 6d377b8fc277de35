// Categories on the line: the distributional transform (Rueschendorf, "On the distributional
// transform, Sklar's theorem, and the empirical copula process", 2009).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "calor/data/table_normal.h"

namespace calor::data {

// Category k owns the interval [F_{k-1}, F_k) of [0, 1], as wide as its share f_k. A cell becomes
// z = Phi^-1(F_{k-1} + u f_k) with u ~ U(0, 1): exactly N(0, 1) where k has the shares f, one
// dimension for any number of categories, and each point of the line is of one category. By Jensen
//   log P(k, rest) >= E_u [ log p(z, rest) - log phi(z) + log f_k ].
class CategoryMap {
 public:
  CategoryMap() = default;
  // Error where the shares are not positive or do not sum to 1.
  CategoryMap(std::vector<double> shares, const std::string& name_for_errors);

  // Shares (count + 1/2) / (n + categories / 2): none is empty.
  static CategoryMap fit(std::span<const std::int64_t> counts, const std::string& name_for_errors);

  const std::vector<double>& shares() const { return shares_; }
  std::size_t size() const { return shares_.size(); }

  struct Point {
    double z = 0;
    double correction = 0;  // - log phi(z) + log f_k
  };
  Point forward(std::size_t category, double u) const;
  std::size_t inverse(double z) const;

 private:
  std::vector<double> shares_;
  std::vector<double> below_;  // F_{k-1}, summed from the first category
  std::vector<double> above_;  // 1 - F_k, summed from the last
};

}  // namespace calor::data
