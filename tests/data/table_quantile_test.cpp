// Maps of columns to the normal distribution: exact inverses, exact slopes, total mass one.
#include "calor/data/table_quantile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/data/table_categories.h"

namespace calor::data {
namespace {

std::vector<double> normals(std::size_t n, std::uint64_t stream = 0) {
  std::vector<double> numbers(n);
  fill_normal(random_key(5, RandomUse::test).child(stream), numbers);
  return numbers;
}

std::vector<double> sorted(std::vector<double> values) {
  std::ranges::sort(values);
  return values;
}

TEST(TableNormal, QuantileInvertsTheDistribution) {
  double worst = 0;
  for (double z = -37; z <= 0; z += 0.013) {
    worst = std::max(worst,
                     std::abs(normal_quantile(log_normal_cdf(z)) - z) / std::max(1.0, std::abs(z)));
  }
  // In the middle, log p near log(1/2) loses digits that z does not have.
  EXPECT_LT(worst, 4e-15);
  EXPECT_NEAR(normal_quantile(std::log(0.025)), -1.9599639845400542, 1e-14);
  EXPECT_NEAR(normal_quantile(std::log(1e-10)), -6.3613409024040557, 1e-13);
  for (const double z : {-50.0, -200.0, -1e5}) {
    EXPECT_NEAR(normal_quantile(log_normal_cdf(z)) / z, 1, 1e-13) << z;
  }
  // The two ways to compute the distribution meet.
  EXPECT_NEAR(log_normal_cdf(-20 - 1e-12), log_normal_cdf(-20 + 1e-12), 1e-9);
}

// Samples of several shapes, some of them on a grid.
struct Sample {
  const char* name;
  std::vector<double> values;
  NumberGrid grid;
};

std::vector<Sample> samples() {
  std::vector<Sample> all;
  all.push_back({"normal", sorted(normals(5000)), {}});
  std::vector<double> skewed = normals(3000, 1);
  for (double& x : skewed) x = std::exp(2 * x);
  all.push_back({"log-normal", sorted(skewed), {}});
  std::vector<double> ages = normals(4000, 2);
  for (double& x : ages) x = std::clamp(std::round(40 + 15 * x), 17.0, 60.0);
  all.push_back({"ages with piles at both ends", sorted(ages), grid_of({.mantissa = 1})});
  std::vector<double> gains = normals(4000, 3);
  for (double& x : gains) x = x < 1.5 ? 0 : std::round(std::exp(6 + x));
  all.push_back({"mostly zero", sorted(gains), grid_of({.mantissa = 1})});
  std::vector<double> prices = normals(9000, 4);
  for (double& x : prices) {
    x = 100 * std::round(2000 * std::exp(0.6 * x));
    if (x >= 500000) x = 500001;
  }
  all.push_back({"prices with a cap",
                 sorted(prices),
                 {.step = {.mantissa = 100, .decimals = 0}, .exceptions = {500001}}});
  all.push_back({"few rows", {-1, 0.5, 2}, {}});
  all.push_back({"two values", {0, 0, 0, 1}, grid_of({.mantissa = 1})});
  std::vector<double> ties = normals(1000, 5);
  for (double& x : ties) x = std::max(x, 0.0);
  all.push_back({"ties without a grid", sorted(ties), {}});
  return all;
}

QuantileMap map_of(const Sample& sample, std::int64_t knots = 64) {
  return {fit_quantiles(sample.values, sample.grid, knots), sample.name};
}

TEST(TableQuantile, MassIsOne) {
  for (const Sample& sample : samples()) {
    const QuantileParts parts = map_of(sample).parts();
    const QuantileMap map = map_of(sample);
    double mass = parts.low_mass + parts.high_mass;
    for (std::size_t b = 0; b + 1 < parts.knots.size(); ++b) {
      const double low = parts.knots[b];
      const double high = parts.knots[b + 1];
      mass += std::exp(map.log_density((low + high) / 2)) * (high - low);
    }
    EXPECT_NEAR(mass, 1, 1e-12) << sample.name;
    // The tails' densities by the trapezoidal rule in log distance.
    for (const double sign : {-1.0, 1.0}) {
      const double knot = sign < 0 ? parts.knots.front() : parts.knots.back();
      const double scale = sign < 0 ? parts.low_scale : parts.high_scale;
      double tail = 0;
      constexpr double step = 0.01;
      for (double t = -30; t < 30; t += step) {
        const double d = scale * std::exp(t);
        tail += std::exp(map.log_density(knot + sign * d)) * d * step;
      }
      EXPECT_NEAR(tail / (sign < 0 ? parts.low_mass : parts.high_mass), 1, 1e-6) << sample.name;
    }
  }
}

TEST(TableQuantile, InverseIsExact) {
  for (const Sample& sample : samples()) {
    const QuantileMap map = map_of(sample);
    double worst = 0;
    double before = -std::numeric_limits<double>::infinity();
    for (double z = -30; z <= 30; z += 0.0371) {
      const double y = map.inverse(z);
      EXPECT_GT(y, before) << sample.name << " at " << z;
      before = y;
      worst = std::max(worst, std::abs(map.forward(y).z - z));
    }
    EXPECT_LT(worst, 1e-9) << sample.name;
    EXPECT_TRUE(std::isfinite(map.inverse(1e6)) && std::isfinite(map.inverse(-1e6)));
    for (const double y : sample.values) {
      EXPECT_NEAR(map.inverse(map.forward(y).z), y, 1e-9 * std::max(1.0, std::abs(y)))
          << sample.name;
    }
  }
}

TEST(TableQuantile, SlopeIsThatOfFiniteDifferences) {
  for (const Sample& sample : samples()) {
    const QuantileMap map = map_of(sample);
    const auto& knots = map.parts().knots;
    double worst = 0;
    for (double z = -12; z <= 12; z += 0.0173) {
      const double y = map.inverse(z);
      // Within one bin (or tail): the slope jumps at knots.
      const auto after = std::ranges::upper_bound(knots, y);
      double room = std::numeric_limits<double>::infinity();
      if (after != knots.end()) room = std::min(room, *after - y);
      if (after != knots.begin()) room = std::min(room, y - *(after - 1));
      const double scale = std::exp(-map.forward(y).log_slope);
      const double h = std::min(1e-4 * scale, 0.9 * room);
      // A difference that rounding would swamp says nothing.
      if (h < 1e-6 * scale || h < 1e-9 * std::abs(y)) continue;
      const double slope = (map.forward(y + h).z - map.forward(y - h).z) / (2 * h);
      worst = std::max(worst, std::abs(slope * scale - 1));
    }
    EXPECT_LT(worst, 1e-6) << sample.name;
  }
}

TEST(TableQuantile, TailsBeginWithTheDensityOfTheLastBin) {
  const QuantileMap map = map_of(samples()[0]);
  for (const double knot : {map.parts().knots.front(), map.parts().knots.back()}) {
    EXPECT_NEAR(map.log_density(knot - 1e-9), map.log_density(knot + 1e-9), 1e-6);
  }
}

TEST(TableQuantile, KnotsAreCellEdgesAndBinsHoldEnoughRows) {
  for (const Sample& sample : samples()) {
    const QuantileParts parts = map_of(sample).parts();
    EXPECT_LE(parts.knots.size(), 64U * 4) << sample.name;
    for (std::size_t b = 0; sample.grid && b < parts.knots.size(); ++b) {
      const double value = sample.grid.nearest(parts.knots[b] + 1e-6);
      EXPECT_NEAR(sample.grid.cell(value).low, parts.knots[b], 1e-9) << sample.name;
    }
  }
  const QuantileParts normal = map_of(samples()[0]).parts();
  EXPECT_GT(normal.knots.size(), 60U);
  for (const double mass : normal.masses) EXPECT_GE(mass * 5100, 8);
  const std::vector<double> few = sorted(normals(400, 7));
  EXPECT_LT(fit_quantiles(few, {}, 64).knots.size(), 30U) << "about the root of 400";
}

TEST(TableQuantile, APileHasItsOwnCell) {
  for (const Sample& sample : samples()) {
    if (std::string_view(sample.name) != "prices with a cap" &&
        std::string_view(sample.name) != "mostly zero") {
      continue;
    }
    const double value = sample.grid.exceptions.empty() ? 0 : 500001;
    const auto rows = static_cast<double>(std::ranges::count(sample.values, value));
    const auto [low, high] = sample.grid.cell(value);
    const QuantileMap map = map_of(sample);
    const double mass = map.probability(high).below - map.probability(low).below;
    EXPECT_NEAR(mass, rows / static_cast<double>(sample.values.size()), 0.01 * mass) << sample.name;
    const auto& knots = map.parts().knots;
    EXPECT_EQ(std::ranges::count(knots, low) + std::ranges::count(knots, high), 2) << sample.name;
  }
}

TEST(TableQuantile, MakesOtherRowsOfTheSameLawNormal) {
  const QuantileMap map = map_of(samples()[1]);
  std::vector<double> z = normals(20'000, 9);
  for (double& x : z) x = map.forward(std::exp(2 * x)).z;
  std::ranges::sort(z);
  double distance = 0;  // Kolmogorov's
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double p =
        z[i] <= 0 ? std::exp(log_normal_cdf(z[i])) : 1 - std::exp(log_normal_cdf(-z[i]));
    distance = std::max(distance, std::abs(p - (static_cast<double>(i) + 0.5) / 20'000));
  }
  // 3000 rows know their distribution within 1.63 / sqrt(3000) = .030 (1 in 100), 20,000 within
  // .012; the bins add up to .01.
  EXPECT_LT(distance, 0.045);
}

TEST(TableQuantile, DamagedPartsAreRefused) {
  const QuantileParts good{.knots = {0, 1, 3},
                           .masses = {0.4, 0.4},
                           .low_mass = 0.1,
                           .high_mass = 0.1,
                           .low_scale = 1,
                           .high_scale = 1};
  EXPECT_NO_THROW(QuantileMap(good, "x"));
  const auto expect_refused = [&](auto damage) {
    QuantileParts parts = good;
    damage(parts);
    EXPECT_THROW(QuantileMap(parts, "x"), Error);
  };
  expect_refused([](auto& p) { p.knots[1] = 3; });
  expect_refused([](auto& p) { p.knots[0] = -INFINITY; });
  expect_refused([](auto& p) { p.knots.pop_back(); });
  expect_refused([](auto& p) { p.masses[0] = 0.5; });
  expect_refused([](auto& p) { p.masses = {0.8, 0}; });
  expect_refused([](auto& p) { p.low_scale = 0; });
  expect_refused([](auto& p) { p = {}; });
}

TEST(TableCategories, EveryPointIsOfOneCategory) {
  const std::vector<std::int64_t> counts{5000, 300, 300, 1, 0, 7};
  const CategoryMap map = CategoryMap::fit(counts, "x");
  EXPECT_NEAR(std::accumulate(map.shares().begin(), map.shares().end(), 0.0), 1, 1e-15);
  EXPECT_NEAR(map.shares()[3] / map.shares()[4], 3, 1e-12);
  std::vector<double> u(2000);
  fill_uniform(random_key(4, RandomUse::test), u);
  u.insert(u.end(), {1e-9, 1 - 1e-9});
  for (std::size_t k = 0; k < counts.size(); ++k) {
    for (const double v : u) EXPECT_EQ(map.inverse(map.forward(k, v).z), k);
  }
  for (double z = -40; z <= 40; z += 0.01) EXPECT_LT(map.inverse(z), counts.size());
  EXPECT_EQ(map.inverse(-40), 0U);
  EXPECT_EQ(map.inverse(40), 5U);
}

// Under the density p(z) = N(0.3, 1.2^2): exp of the corrected log-density, averaged over u, is a
// probability of each category, and these sum to 1; the mean log is a bound of its logarithm.
TEST(TableCategories, CorrectionGivesProbabilities) {
  const CategoryMap map = CategoryMap::fit(std::vector<std::int64_t>{60, 30, 9}, "x");
  constexpr int points = 200'000;
  double sum = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    double mean = 0;
    double mean_log = 0;
    for (int i = 0; i < points; ++i) {
      const auto [z, correction] = map.forward(k, (i + 0.5) / points);
      const double log_p = log_normal_density((z - 0.3) / 1.2) - std::log(1.2) + correction;
      mean += std::exp(log_p) / points;
      mean_log += log_p / points;
    }
    // P(k) = Phi((b - .3) / 1.2) - Phi((a - .3) / 1.2) between the interval's ends.
    const auto cdf = [](double z) { return 0.5 * std::erfc(-(z - 0.3) / 1.2 / std::sqrt(2)); };
    const double low = k == 0 ? 0 : cdf(map.forward(k, 0).z);
    const double high = k == 2 ? 1 : cdf(map.forward(k, 1).z);
    EXPECT_NEAR(mean, high - low, 2e-4);
    EXPECT_LT(mean_log, std::log(high - low));
    sum += mean;
  }
  EXPECT_NEAR(sum, 1, 5e-4);
}

TEST(TableCategories, DamagedSharesAreRefused) {
  for (const auto& shares :
       std::vector<std::vector<double>>{{}, {0.5, 0.4}, {1.5, -0.5}, {1, 0}, {std::nan(""), 1}}) {
    EXPECT_THROW(CategoryMap(shares, "x"), Error);
  }
}

}  // namespace
}  // namespace calor::data
