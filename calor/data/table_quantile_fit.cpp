// Where the knots of a column's distribution lie.
#include <algorithm>
#include <cmath>

#include "calor/data/table_quantile.h"

namespace calor::data {
namespace {

constexpr std::int64_t least_rows = 8;     // of a bin
constexpr double pile_ratio = 3;           // a pile's density over its neighbourhood's
constexpr double pile_deviations = 4;      // by which its rows exceed what is expected
constexpr std::int64_t pile_share = 16;    // a pile has n / (16 most_knots) rows at least
constexpr double narrowest_share = 1e-12;  // of the values' range, that a bin may have
constexpr double rows_added_to_bins = 0.5;
constexpr double rows_in_tails = 1;
constexpr double tail_power = 3;

struct Bin {
  double low = 0;
  double high = 0;
  std::int64_t rows = 0;
  bool is_pile = false;
  double width() const { return high - low; }
};

struct Count {
  double value = 0;
  std::int64_t rows = 0;
};

std::vector<Count> count_distinct(std::span<const double> values) {
  std::vector<Count> counts;
  for (const double value : values) {
    if (counts.empty() || counts.back().value != value) counts.push_back({.value = value});
    ++counts.back().rows;
  }
  return counts;
}

// On a grid: the cell of each value, and the empty stretches between them.
std::vector<Bin> grid_bins(std::span<const Count> counts, const NumberGrid& grid) {
  std::vector<Bin> bins;
  for (const auto& [value, rows] : counts) {
    const NumberGrid::Cell cell = grid.cell(value);
    // Cells that touch do so but for rounding.
    const double slack = 1e-6 * (cell.high - cell.low);
    if (!bins.empty() && cell.low - bins.back().high > slack) {
      bins.push_back({.low = bins.back().high, .high = cell.low});
    }
    const double low = bins.empty() ? cell.low : bins.back().high;
    bins.push_back({.low = low, .high = cell.high, .rows = rows});
  }
  return bins;
}

// Between neighbouring values; a value's rows belong to the bin below it, the first value's to the
// bin above.
std::vector<Bin> continuous_bins(std::span<const Count> counts) {
  std::vector<Bin> bins;
  for (std::size_t j = 1; j < counts.size(); ++j) {
    bins.push_back({.low = counts[j - 1].value, .high = counts[j].value, .rows = counts[j].rows});
  }
  bins.front().rows += counts.front().rows;
  return bins;
}

// Rows and width beside bin j, on one side (step -1 or 1), until `wanted` rows have come.
void add_side(std::span<const Bin> bins, std::size_t j, std::ptrdiff_t step, std::int64_t wanted,
              double& rows, double& width) {
  std::int64_t found = 0;
  for (auto i = static_cast<std::ptrdiff_t>(j) + step;
       found < wanted && i >= 0 && i < std::ssize(bins); i += step) {
    const Bin& bin = bins[static_cast<std::size_t>(i)];
    found += bin.rows;
    width += bin.width();
  }
  rows += static_cast<double>(found);
}

void mark_piles(std::vector<Bin>& bins, std::int64_t n, std::int64_t most_knots,
                std::int64_t rows_per_bin) {
  const std::int64_t least = std::max(least_rows, n / (pile_share * most_knots));
  std::vector<std::size_t> piles;
  for (std::size_t j = 0; j < bins.size(); ++j) {
    if (bins[j].rows < least) continue;
    double rows = 0;
    double width = 0;
    add_side(bins, j, -1, rows_per_bin, rows, width);
    add_side(bins, j, 1, rows_per_bin, rows, width);
    const double expected = width > 0 ? rows / width * bins[j].width() : 0;
    const auto held = static_cast<double>(bins[j].rows);
    if (held > pile_ratio * expected &&
        held - expected > pile_deviations * std::sqrt(expected + 1)) {
      piles.push_back(j);
    }
  }
  std::ranges::stable_sort(piles, [&](auto a, auto b) { return bins[a].rows > bins[b].rows; });
  if (std::ssize(piles) > most_knots) piles.resize(static_cast<std::size_t>(most_knots));
  for (const std::size_t j : piles) bins[j].is_pile = true;
}

// Joins neighbours, leaving piles alone, until each bin has the rows it should.
class Merger {
 public:
  Merger(std::int64_t n, std::int64_t rows_per_bin, double narrowest)
      : n_(n), rows_per_bin_(rows_per_bin), narrowest_(narrowest) {}

  std::vector<Bin> merge(std::span<const Bin> bins) {
    for (const Bin& bin : bins) {
      if (bin.is_pile) {
        close();
        out_.push_back(bin);
        rows_before_ += bin.rows;
        continue;
      }
      // An empty stretch before a value that fills a bin alone would halve that bin's density.
      if (open_ && current_.rows == 0 && bin.rows >= wanted()) {
        out_.push_back(current_);
        open_ = false;
      }
      if (!open_) current_ = {.low = bin.low, .high = bin.low};
      open_ = true;
      current_.high = bin.high;
      current_.rows += bin.rows;
      if (current_.rows >= wanted() && current_.width() > narrowest_) close();
    }
    close();
    return std::move(out_);
  }

 private:
  // Small bins at the ends, doubling towards the middle.
  std::int64_t wanted() const {
    const std::int64_t left = n_ - rows_before_;
    return std::clamp(std::min(rows_before_, left / 2), least_rows, rows_per_bin_);
  }

  void close() {
    if (!open_) return;
    open_ = false;
    rows_before_ += current_.rows;
    const bool is_small = current_.rows < least_rows || current_.width() <= narrowest_;
    if (is_small && !out_.empty() && !out_.back().is_pile) {
      out_.back().high = current_.high;
      out_.back().rows += current_.rows;
    } else {
      out_.push_back(current_);
    }
  }

  std::int64_t n_, rows_per_bin_;
  double narrowest_;
  std::vector<Bin> out_;
  Bin current_;
  bool open_ = false;
  std::int64_t rows_before_ = 0;  // in closed bins
};

double tail_scale(const Bin& bin, double bin_mass, double tail_mass) {
  if (bin.is_pile) return bin.width();
  return tail_power * tail_mass * bin.width() / bin_mass;
}

}  // namespace

QuantileParts fit_quantiles(std::span<const double> values, const NumberGrid& grid,
                            std::int64_t most_knots) {
  const std::vector<Count> counts = count_distinct(values);
  const std::int64_t n = std::ssize(values);
  // More bins than the root of n would follow the noise of the sample: each costs rows to come
  // 1 / 2n nats. Where there are no more values than knots, each value may have its own bin.
  const auto root = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
  const std::int64_t rows_per_bin = std::ssize(counts) <= most_knots
                                        ? least_rows
                                        : std::max(least_rows, n / std::min(most_knots, root));
  std::vector<Bin> bins = grid ? grid_bins(counts, grid) : continuous_bins(counts);
  if (grid) mark_piles(bins, n, most_knots, rows_per_bin);
  const double narrowest = narrowest_share * (bins.back().high - bins.front().low);
  bins = Merger(n, rows_per_bin, narrowest).merge(bins);

  const double total = static_cast<double>(n) + 2 * rows_in_tails +
                       rows_added_to_bins * static_cast<double>(bins.size());
  QuantileParts parts;
  parts.knots.push_back(bins.front().low);
  for (const Bin& bin : bins) {
    parts.knots.push_back(bin.high);
    parts.masses.push_back((static_cast<double>(bin.rows) + rows_added_to_bins) / total);
  }
  parts.low_mass = parts.high_mass = rows_in_tails / total;
  parts.low_scale = tail_scale(bins.front(), parts.masses.front(), parts.low_mass);
  parts.high_scale = tail_scale(bins.back(), parts.masses.back(), parts.high_mass);
  return parts;
}

}  // namespace calor::data
