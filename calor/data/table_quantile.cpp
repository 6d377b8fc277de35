#include "calor/data/table_quantile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "calor/core/error.h"

namespace calor::data {
namespace {

constexpr double tail_power = 3;
// Keeps distances in the tails finite for every z: exp(500) is 1e217.
constexpr double largest_exponent = 500;

// log of a tail's survival function over its mass, at distance d.
double log_tail(double d, double scale) { return -tail_power * std::log1p(d / scale); }

double log_tail_density(double d, double scale) {
  return std::log(tail_power / scale) - (tail_power + 1) * std::log1p(d / scale);
}

// The distance at which a tail's survival is exp(log_p).
double tail_distance(double log_p, double mass, double scale) {
  const double exponent = (std::log(mass) - log_p) / tail_power;
  return scale * std::expm1(std::clamp(exponent, 0.0, largest_exponent));
}

bool are_valid(const QuantileParts& parts) {
  const auto positive = [](double x) { return x > 0 && std::isfinite(x); };
  const auto rising = [&](double a, double b) { return positive(b - a) && std::isfinite(a); };
  if (parts.masses.empty() || parts.knots.size() != parts.masses.size() + 1) return false;
  double sum = parts.low_mass + parts.high_mass;
  for (std::size_t b = 0; b < parts.masses.size(); ++b) {
    if (!positive(parts.masses[b]) || !rising(parts.knots[b], parts.knots[b + 1])) return false;
    sum += parts.masses[b];
  }
  return positive(parts.low_mass) && positive(parts.high_mass) && positive(parts.low_scale) &&
         positive(parts.high_scale) && parts.low_mass < 0.5 && parts.high_mass < 0.5 &&
         std::abs(sum - 1) < 1e-9;
}

}  // namespace

QuantileMap::QuantileMap(QuantileParts parts, const std::string& name_for_errors)
    : parts_(std::move(parts)) {
  if (!are_valid(parts_)) {
    throw Error("a distribution: rising knots, positive masses that sum to 1, positive scales",
                fmt::format("{}: {} knots and {} masses that are none", name_for_errors,
                            parts_.knots.size(), parts_.masses.size()),
                "the file is damaged: take another copy");
  }
  const std::size_t bins = parts_.masses.size();
  below_.assign(bins + 1, parts_.low_mass);
  above_.assign(bins + 1, parts_.high_mass);
  for (std::size_t b = 0; b < bins; ++b) below_[b + 1] = below_[b] + parts_.masses[b];
  for (std::size_t b = bins; b-- > 0;) above_[b] = above_[b + 1] + parts_.masses[b];
}

std::size_t QuantileMap::bin_of(double y) const {
  const auto after = std::upper_bound(parts_.knots.begin(), parts_.knots.end(), y);
  const auto index = static_cast<std::size_t>(after - parts_.knots.begin());
  return std::clamp<std::size_t>(index, 1, parts_.masses.size()) - 1;
}

Probability QuantileMap::probability(double y) const {
  if (y < parts_.knots.front()) {
    const double tail = std::exp(log_tail(parts_.knots.front() - y, parts_.low_scale));
    return {.below = parts_.low_mass * tail, .above = 1 - parts_.low_mass * tail};
  }
  if (y > parts_.knots.back()) {
    const double tail = std::exp(log_tail(y - parts_.knots.back(), parts_.high_scale));
    return {.below = 1 - parts_.high_mass * tail, .above = parts_.high_mass * tail};
  }
  const std::size_t b = bin_of(y);
  const double low = parts_.knots[b];
  const double high = parts_.knots[b + 1];
  return {.below = below_[b] + parts_.masses[b] * ((y - low) / (high - low)),
          .above = above_[b + 1] + parts_.masses[b] * ((high - y) / (high - low))};
}

double QuantileMap::log_density(double y) const {
  if (y < parts_.knots.front()) {
    return std::log(parts_.low_mass) + log_tail_density(parts_.knots.front() - y, parts_.low_scale);
  }
  if (y > parts_.knots.back()) {
    return std::log(parts_.high_mass) +
           log_tail_density(y - parts_.knots.back(), parts_.high_scale);
  }
  const std::size_t b = bin_of(y);
  return std::log(parts_.masses[b] / (parts_.knots[b + 1] - parts_.knots[b]));
}

QuantileMap::Point QuantileMap::forward(double y) const {
  Point point;
  // In the tails by logarithms, which do not underflow.
  if (y < parts_.knots.front()) {
    point.z = normal_quantile(std::log(parts_.low_mass) +
                              log_tail(parts_.knots.front() - y, parts_.low_scale));
  } else if (y > parts_.knots.back()) {
    point.z = -normal_quantile(std::log(parts_.high_mass) +
                               log_tail(y - parts_.knots.back(), parts_.high_scale));
  } else {
    point.z = normal_score(probability(y));
  }
  point.log_slope = log_density(y) - log_normal_density(point.z);
  return point;
}

double QuantileMap::inverse(double z) const {
  const double log_p = log_normal_cdf(-std::abs(z));
  const double p = std::exp(log_p);
  const std::size_t bins = parts_.masses.size();
  if (z <= 0) {
    if (p < parts_.low_mass) {
      return parts_.knots.front() - tail_distance(log_p, parts_.low_mass, parts_.low_scale);
    }
    const auto after = std::upper_bound(below_.begin(), below_.end(), p) - below_.begin();
    const auto b = std::clamp<std::size_t>(static_cast<std::size_t>(after), 1, bins) - 1;
    const double share = std::clamp((p - below_[b]) / parts_.masses[b], 0.0, 1.0);
    return parts_.knots[b] + share * (parts_.knots[b + 1] - parts_.knots[b]);
  }
  if (p < parts_.high_mass) {
    return parts_.knots.back() + tail_distance(log_p, parts_.high_mass, parts_.high_scale);
  }
  // above_ falls: the last knot with above_ >= p begins the bin.
  const auto after = std::upper_bound(above_.begin(), above_.end(), p, std::greater<>());
  const auto index = static_cast<std::size_t>(after - above_.begin());
  const auto b = std::clamp<std::size_t>(index, 1, bins) - 1;
  const double share = std::clamp((p - above_[b + 1]) / parts_.masses[b], 0.0, 1.0);
  return parts_.knots[b + 1] - share * (parts_.knots[b + 1] - parts_.knots[b]);
}

}  // namespace calor::data
