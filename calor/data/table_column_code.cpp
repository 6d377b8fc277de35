#include "calor/data/table_column_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::data {
namespace {

[[noreturn]] void refuse_constant(const Table& train, const TableColumn& column,
                                  const std::string& what) {
  throw Error(
      "a column with different values in the rows of training",
      fmt::format("{}: the column {} holds {}", train.source, io::printable(column.name), what),
      fmt::format("declare {}:ignore in data.columns", column.name));
}

// Mean and deviation of the dequantised values: a value's cell has its middle for mean and
// width^2 / 12 for variance.
void set_moments(NumberCode& code, const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const auto cell_of = [&](double value) {
    return code.dequantised ? code.grid.cell(value) : NumberGrid::Cell{value, value};
  };
  double sum = 0;
  for (const double value : values) {
    const auto [low, high] = cell_of(value);
    sum += (low + high) / 2;
  }
  code.mean = sum / n;
  double squares = 0;
  for (const double value : values) {
    const auto [low, high] = cell_of(value);
    const double distance = (low + high) / 2 - code.mean;
    squares += distance * distance + (high - low) * (high - low) / 12;
  }
  code.deviation = std::sqrt(squares / n);
}

double largest_share(const std::vector<double>& sorted) {
  std::size_t most = 0;
  for (auto begin = sorted.begin(); begin != sorted.end();) {
    const auto end = std::upper_bound(begin, sorted.end(), *begin);
    most = std::max(most, static_cast<std::size_t>(end - begin));
    begin = end;
  }
  return static_cast<double>(most) / static_cast<double>(sorted.size());
}

NumberCode fit_numbers(const Table& train, const TableColumn& column, const TableOptions& options,
                       bool is_target) {
  NumberCode code;
  code.grid = column.grid;
  code.format = column.format;
  code.dequantised =
      is_target && code.grid && (column.type == ColumnType::integer || options.dequantise);
  const bool on_grid = code.dequantised || (!is_target && code.grid);
  std::vector<double> values;
  for (std::size_t row = 0; row < train.rows(); ++row) {
    const double number = column.numbers[row];
    if (std::isinf(number)) {
      throw Error("finite numbers", fmt::format("{}: {}", train.place(row, column), number),
                  "correct or remove that row");
    }
    if (!std::isnan(number)) values.push_back(on_grid ? code.grid.nearest(number) : number);
  }
  std::ranges::sort(values);
  if (values.front() == values.back()) {
    refuse_constant(train, column, fmt::format("only {}", column.format.text(values.front())));
  }
  set_moments(code, values);
  if (!(code.deviation > 0) || !std::isfinite(code.deviation)) {
    refuse_constant(train, column, "values without a deviation that a double can hold");
  }
  if (!code.dequantised) code.repeated_share = largest_share(values);
  if (options.encoding == NumberEncoding::quantile) {
    code.quantiles.emplace(fit_quantiles(values, on_grid ? code.grid : NumberGrid{}, options.knots),
                           column.name);
  }
  return code;
}

CategoryCode fit_categories(const Table& train, const TableColumn& column) {
  std::vector<std::int64_t> counts(column.words.size());
  for (const std::int32_t code : column.codes) {
    if (code >= 0) ++counts[static_cast<std::size_t>(code)];
  }
  const auto used = std::ranges::count_if(counts, [](auto count) { return count > 0; });
  if (used == 1) {
    const auto only = std::ranges::find_if(counts, [](auto count) { return count > 0; });
    refuse_constant(
        train, column,
        "only " + io::printable(column.words[static_cast<std::size_t>(only - counts.begin())]));
  }
  std::vector<std::size_t> order(counts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (column.type == ColumnType::categorical) {
    std::ranges::sort(order, [&](auto a, auto b) {
      return counts[a] != counts[b] ? counts[a] > counts[b] : column.words[a] < column.words[b];
    });
  }
  CategoryCode code;
  std::vector<std::int64_t> ordered_counts;
  for (const std::size_t k : order) {
    code.words.push_back(column.words[k]);
    ordered_counts.push_back(counts[k]);
  }
  code.map = CategoryMap::fit(ordered_counts, column.name);
  return code;
}

}  // namespace

QuantileMap::Point NumberCode::forward(double y) const {
  if (quantiles) return quantiles->forward(y);
  return {.z = (y - mean) / deviation, .log_slope = -std::log(deviation)};
}

double NumberCode::inverse(double z) const {
  return quantiles ? quantiles->inverse(z) : mean + deviation * z;
}

double NumberCode::dequantise(double value, double u) const {
  if (!dequantised) return value;
  const auto [low, high] = grid.cell(grid.nearest(value));
  return low + u * (high - low);
}

ColumnCode fit_column(const Table& train, const TableColumn& column, const TableOptions& options,
                      bool is_target) {
  std::vector<std::int64_t> present_and_missing(2);
  for (std::size_t row = 0; row < train.rows(); ++row) {
    ++present_and_missing[column.is_missing(row) ? 1 : 0];
  }
  if (present_and_missing[0] == 0) refuse_constant(train, column, "only missing cells");
  ColumnCode code;
  code.name = column.name;
  code.type = column.type;
  code.missing_word = column.missing_word;
  if (present_and_missing[1] > 0) {
    code.missing = CategoryMap::fit(present_and_missing, column.name);
  }
  if (column.type == ColumnType::numeric || column.type == ColumnType::integer) {
    code.number = fit_numbers(train, column, options, is_target);
  } else {
    code.category = fit_categories(train, column);
  }
  return code;
}

std::string describe(const ColumnCode& code) {
  std::string text = fmt::format("{}: {}", code.name, to_text(code.type));
  if (code.number) {
    const NumberCode& number = *code.number;
    if (number.grid) {
      text += fmt::format(", step {}{}", to_text(number.grid.step),
                          number.dequantised ? "" : " (not dequantised)");
    }
    for (const double exception : number.grid.exceptions) {
      text += fmt::format(", and {}", number.format.text(exception));
    }
    text += fmt::format(", mean {:.6g}, deviation {:.6g}", number.mean, number.deviation);
    if (number.quantiles) {
      text += fmt::format(", {} knots", number.quantiles->parts().knots.size());
    }
  } else {
    const CategoryCode& category = *code.category;
    constexpr std::size_t shown = 4;
    text += fmt::format(", {} categories (", category.words.size());
    for (std::size_t k = 0; k < std::min(shown, category.words.size()); ++k) {
      text += fmt::format("{}{} {:.3g}", k == 0 ? "" : ", ", io::printable(category.words[k]),
                          category.map.shares()[k]);
    }
    text += category.words.size() > shown ? ", ...)" : ")";
  }
  if (code.missing) text += fmt::format(", missing {:.3g}", code.missing->shares()[1]);
  return text;
}

}  // namespace calor::data
