#include "calor/data/table_categories.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "calor/core/error.h"

namespace calor::data {

CategoryMap::CategoryMap(std::vector<double> shares, const std::string& name_for_errors)
    : shares_(std::move(shares)) {
  const bool positive = std::ranges::all_of(shares_, [](double f) { return f > 0 && f <= 1; });
  const double sum = std::accumulate(shares_.begin(), shares_.end(), 0.0);
  if (shares_.empty() || !positive || !(std::abs(sum - 1) < 1e-9)) {
    throw Error("positive shares of categories that sum to 1",
                fmt::format("{}: {} shares with the sum {}", name_for_errors, shares_.size(), sum),
                "the file is damaged: take another copy");
  }
  below_.assign(size(), 0);
  above_.assign(size(), 0);
  for (std::size_t k = 1; k < size(); ++k) below_[k] = below_[k - 1] + shares_[k - 1];
  for (std::size_t k = size() - 1; k > 0; --k) above_[k - 1] = above_[k] + shares_[k];
}

CategoryMap CategoryMap::fit(std::span<const std::int64_t> counts,
                             const std::string& name_for_errors) {
  double total = 0;
  for (const std::int64_t count : counts) total += static_cast<double>(count) + 0.5;
  std::vector<double> shares;
  for (const std::int64_t count : counts) {
    shares.push_back((static_cast<double>(count) + 0.5) / total);
  }
  return {std::move(shares), name_for_errors};
}

CategoryMap::Point CategoryMap::forward(std::size_t category, double u) const {
  const double f = shares_[category];
  const double z =
      normal_score({.below = below_[category] + u * f, .above = above_[category] + (1 - u) * f});
  return {.z = z, .correction = std::log(f) - log_normal_density(z)};
}

std::size_t CategoryMap::inverse(double z) const {
  const double p = std::exp(log_normal_cdf(-std::abs(z)));
  if (z <= 0) {
    const auto after = std::upper_bound(below_.begin() + 1, below_.end(), p);
    return static_cast<std::size_t>(after - below_.begin()) - 1;
  }
  // The first category whose upper end leaves no more than p above it.
  const auto first = std::ranges::find_if(above_, [&](double above) { return above <= p; });
  return std::min(static_cast<std::size_t>(first - above_.begin()), size() - 1);
}

}  // namespace calor::data
