#include "calor/metric/table_statistics.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>

#include "calor/core/error.h"
#include "calor/metric/samples.h"
#include "calor/metric/wasserstein.h"

namespace calor::metric {
namespace {

// float64 [n]
at::Tensor as_column(const at::Tensor& x, const std::string& name) {
  if (x.dim() != 1) {
    throw Error(fmt::format("{}: a list of numbers", name),
                fmt::format("shape [{}]", fmt::join(x.sizes(), ", ")), "give one column at a time");
  }
  return as_samples(x.to(at::kDouble).unsqueeze(1), name).squeeze(1);
}

at::Tensor as_codes(const at::Tensor& x, const std::string& name) {
  at::Tensor codes = as_column(x, name);
  const at::Tensor whole = codes.eq(codes.floor());
  if (!whole.all().item<bool>()) {
    const auto row = whole.logical_not().to(at::kByte).argmax().item<std::int64_t>();
    throw Error(fmt::format("{}: whole numbers as codes of categories", name),
                fmt::format("{} in row {}", codes[row].item<double>(), row),
                "mark the column as numeric, or encode its categories");
  }
  return codes;
}

// Two lists as levels 0 .. count - 1 of their common, sorted, distinct values.
struct Levels {
  at::Tensor first, second;  // int64 [n], [m]
  std::int64_t count = 0;
};

Levels common_levels(const at::Tensor& first, const at::Tensor& second) {
  const auto [values, inverse, counts] = at::_unique2(at::cat({first, second}), true, true, false);
  return {.first = inverse.slice(0, 0, first.size(0)),
          .second = inverse.slice(0, first.size(0)),
          .count = values.size(0)};
}

at::Tensor shares(const at::Tensor& levels, std::int64_t count) {
  return at::bincount(levels, {}, count).to(at::kDouble) / levels.size(0);
}

double total_variation_of(const Levels& levels) {
  const at::Tensor gap = shares(levels.first, levels.count) - shares(levels.second, levels.count);
  return 0.5 * gap.abs().sum().item<double>();
}

// The share of values <= t, for each t: the distribution function of `sorted`.
at::Tensor share_up_to(const at::Tensor& sorted, const at::Tensor& t) {
  return at::searchsorted(sorted, t, false, true).to(at::kDouble) / sorted.size(0);
}

double standard_deviation(const at::Tensor& x) { return std::sqrt(x.var(0, true).item<double>()); }

// Mean rank of ties, 0-based.
at::Tensor ranks(const at::Tensor& column) {
  const auto [values, inverse, counts] = at::_unique2(column, true, true, true);
  const at::Tensor size = counts.to(at::kDouble);
  return (size.cumsum(0) - 0.5 * (size + 1)).index_select(0, inverse);
}

at::Tensor present(const at::Tensor& rows) {
  return rows.dim() == 1 ? rows.masked_select(rows.isfinite())
                         : rows.index({rows.isfinite().all(1)});
}

double missing_share(const at::Tensor& column) {
  return 1 - column.isfinite().to(at::kDouble).mean().item<double>();
}

constexpr double none = std::numeric_limits<double>::quiet_NaN();

// Correlations [d, d] of x [n, d], of each pair over the rows where both are there.
at::Tensor pairwise(const at::Tensor& x, at::Tensor (*correlation)(const at::Tensor&)) {
  if (x.isfinite().all().item<bool>()) return correlation(x);
  const std::int64_t d = x.size(1);
  at::Tensor all = at::eye(d, at::kDouble);
  for (std::int64_t i = 0; i < d; ++i) {
    for (std::int64_t j = i + 1; j < d; ++j) {
      const at::Tensor rows = present(at::stack({x.select(1, i), x.select(1, j)}, 1));
      const double r = rows.size(0) < 2 ? none : correlation(rows)[0][1].item<double>();
      all[i][j] = all[j][i] = r;
    }
  }
  return all;
}

// [n, d], floating, values of any kind.
at::Tensor as_table(const at::Tensor& x, const std::string& name) {
  as_samples(x.isfinite().to(at::kDouble), name, 2);  // its shape
  return x.detach().to(at::kCPU, at::kDouble).contiguous();
}

PairwiseDifference summarised(const at::Tensor& difference) {
  const std::int64_t c = difference.size(0);
  PairwiseDifference out{.difference = difference, .max = 0, .mean = 0};
  if (c < 2) return out;
  const at::Tensor pairs = at::triu_indices(c, c, 1);
  const at::Tensor values = present(difference.index({pairs[0], pairs[1]}));
  if (values.numel() == 0) return {.difference = difference, .max = none, .mean = none};
  out.max = values.max().item<double>();
  out.mean = values.mean().item<double>();
  return out;
}

PairwiseDifference between(const at::Tensor& real, const at::Tensor& synthetic) {
  return summarised((real - synthetic).abs().fill_diagonal_(0));
}

// Up to this many pairs of levels are counted one by one; where there are more, those that occur
// are found by sorting.
constexpr std::int64_t most_cells = std::int64_t{1} << 18;

// Cramer's V of levels i below `rows` and j below `columns`.
// phi^2 = chi^2 / n = sum over cells of p_ij^2 / (p_i p_j) - 1, where only cells that occur count;
// V^2 = phi^2 / (min(rows, columns) - 1), levels that do not occur not counted.
double association(const at::Tensor& i, std::int64_t rows, const at::Tensor& j,
                   std::int64_t columns) {
  const at::Tensor row_share = shares(i, rows);
  const at::Tensor column_share = shares(j, columns);
  const std::int64_t smaller = std::min(row_share.count_nonzero().item<std::int64_t>(),
                                        column_share.count_nonzero().item<std::int64_t>());
  if (smaller < 2) return 0;
  const at::Tensor cell_of = i * columns + j;
  at::Tensor cells;
  at::Tensor counts;
  if (rows * columns <= most_cells) {
    counts = at::bincount(cell_of, {}, rows * columns);
    cells = counts.nonzero().squeeze(1);
    counts = counts.index_select(0, cells);
  } else {
    std::tie(cells, std::ignore, counts) = at::_unique2(cell_of, true, false, true);
  }
  const at::Tensor joint = counts.to(at::kDouble) / i.size(0);
  const at::Tensor product = row_share.index_select(0, cells.div(columns, "floor")) *
                             column_share.index_select(0, cells.remainder(columns));
  const double phi2 = (joint.square() / product).sum().item<double>() - 1;
  return std::sqrt(std::clamp(phi2 / static_cast<double>(smaller - 1), 0.0, 1.0));
}

// Total variation of the joint laws of two columns.
double contingency_difference(const Levels& a, const Levels& b) {
  const Levels joint{.first = a.first * b.count + b.first,
                     .second = a.second * b.count + b.second,
                     .count = a.count * b.count};
  return total_variation_of(joint.count <= most_cells ? joint
                                                      : common_levels(joint.first, joint.second));
}

// `columns`: real first, synthetic second.
void compare_categorical(const std::vector<Levels>& columns, TableDifference& out) {
  const auto c = static_cast<std::int64_t>(columns.size());
  at::Tensor cramers = at::zeros({c, c}, at::kDouble);
  at::Tensor contingency = at::zeros({c, c}, at::kDouble);
  for (std::int64_t i = 0; i < c; ++i) {
    for (std::int64_t j = i + 1; j < c; ++j) {
      const Levels& a = columns[static_cast<std::size_t>(i)];
      const Levels& b = columns[static_cast<std::size_t>(j)];
      cramers[i][j] = std::abs(association(a.first, a.count, b.first, b.count) -
                               association(a.second, a.count, b.second, b.count));
      contingency[i][j] = contingency_difference(a, b);
    }
  }
  out.cramers_v = summarised(cramers + cramers.t());
  out.contingency = summarised(contingency + contingency.t());
}

}  // namespace

NumericDifference numeric_difference(const at::Tensor& real, const at::Tensor& synthetic) {
  const at::Tensor ours = std::get<0>(as_column(real, "real column").sort());
  const at::Tensor theirs = std::get<0>(as_column(synthetic, "synthetic column").sort());
  if (ours.size(0) < 2 || theirs.size(0) < 2) {
    throw Error("two values or more of each column",
                fmt::format("{} real and {} synthetic", ours.size(0), theirs.size(0)),
                "compare larger tables");
  }
  const at::Tensor all = at::cat({ours, theirs});
  const double deviation = standard_deviation(ours);
  const double unit = deviation > 0 ? deviation : 1;
  return {.kolmogorov_smirnov =
              (share_up_to(ours, all) - share_up_to(theirs, all)).abs().max().item<double>(),
          .wasserstein1 = wasserstein_1d_power(ours, theirs, 1) / unit,
          .mean = (theirs.mean() - ours.mean()).item<double>() / unit,
          .standard_deviation = (standard_deviation(theirs) - deviation) / unit};
}

double total_variation(const at::Tensor& real, const at::Tensor& synthetic) {
  return total_variation_of(
      common_levels(as_codes(real, "real column"), as_codes(synthetic, "synthetic column")));
}

double cramers_v(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor first = as_codes(a, "first column");
  const at::Tensor second = as_codes(b, "second column");
  if (first.size(0) != second.size(0)) {
    throw Error("two columns of one table",
                fmt::format("{} and {} rows", first.size(0), second.size(0)),
                "give both codes of every row");
  }
  const auto [rows, i, row_counts] = at::_unique2(first, true, true, false);
  const auto [columns, j, column_counts] = at::_unique2(second, true, true, false);
  return association(i, rows.size(0), j, columns.size(0));
}

at::Tensor pearson_correlation(const at::Tensor& x) {
  const at::Tensor ours = as_samples(x, "table", 2);
  const at::Tensor centred = ours - ours.mean(0);
  const at::Tensor length = centred.norm(2, {0}, true);
  // A constant column is one whose deviations are the rounding of its mean.
  const at::Tensor constant = length.le(1e-12 * ours.norm(2, {0}, true));
  const at::Tensor unit = at::where(constant, at::zeros_like(centred), centred / length);
  at::Tensor correlation = at::mm(unit.t(), unit);
  return correlation.fill_diagonal_(1);
}

at::Tensor spearman_correlation(const at::Tensor& x) {
  const at::Tensor ours = as_samples(x, "table", 2);
  std::vector<at::Tensor> columns;
  for (std::int64_t j = 0; j < ours.size(1); ++j) columns.push_back(ranks(ours.select(1, j)));
  return pearson_correlation(at::stack(columns, 1));
}

namespace {

NumericDifference difference_of_present(const at::Tensor& real, const at::Tensor& synthetic) {
  const at::Tensor ours = present(real);
  const at::Tensor theirs = present(synthetic);
  if (ours.size(0) < 2 || theirs.size(0) < 2) return {none, none, none, none};
  return numeric_difference(ours, theirs);
}

}  // namespace

TableDifference table_difference(const at::Tensor& real, const at::Tensor& synthetic,
                                 const std::vector<bool>& categorical) {
  const SamplePair set{.a = as_table(real, "real table"),
                       .b = as_table(synthetic, "synthetic table")};
  if (static_cast<std::int64_t>(categorical.size()) != set.a.size(1) ||
      set.b.size(1) != set.a.size(1)) {
    throw Error(
        fmt::format("a synthetic column, and a flag, for each of {} columns", set.a.size(1)),
        fmt::format("{} columns, {} flags", set.b.size(1), categorical.size()),
        "say of each column whether it holds codes");
  }
  TableDifference out;
  std::vector<at::Tensor> real_numbers;
  std::vector<at::Tensor> synthetic_numbers;
  std::vector<Levels> codes;
  for (std::int64_t j = 0; j < set.a.size(1); ++j) {
    ColumnDifference column;
    column.categorical = categorical[static_cast<std::size_t>(j)];
    const at::Tensor ours = set.a.select(1, j);
    const at::Tensor theirs = set.b.select(1, j);
    if (column.categorical) {
      codes.push_back(common_levels(as_codes(ours, fmt::format("real column {}", j)),
                                    as_codes(theirs, fmt::format("synthetic column {}", j))));
      column.total_variation = total_variation_of(codes.back());
    } else {
      column.missing_real = missing_share(ours);
      column.missing_synthetic = missing_share(theirs);
      column.numeric = difference_of_present(ours, theirs);
      real_numbers.push_back(ours);
      synthetic_numbers.push_back(theirs);
    }
    out.columns.push_back(column);
  }
  out.pearson = out.spearman = summarised(at::zeros({0, 0}, at::kDouble));
  if (!real_numbers.empty()) {
    const at::Tensor ours = at::stack(real_numbers, 1);
    const at::Tensor theirs = at::stack(synthetic_numbers, 1);
    out.pearson =
        between(pairwise(ours, pearson_correlation), pairwise(theirs, pearson_correlation));
    out.spearman =
        between(pairwise(ours, spearman_correlation), pairwise(theirs, spearman_correlation));
  }
  compare_categorical(codes, out);
  return out;
}

}  // namespace calor::metric
