#include "calor/data/table.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/io/bytes.h"
#include "calor/io/npy.h"

namespace calor::data {
namespace {

template <class T>
std::vector<T> pick(const std::vector<T>& from, std::span<const std::int64_t> indices) {
  std::vector<T> out;
  if (from.empty()) return out;
  out.reserve(indices.size());
  for (const std::int64_t i : indices) out.push_back(from.at(static_cast<std::size_t>(i)));
  return out;
}

void write_array(const std::filesystem::path& path, const Table& table) {
  const auto rows = static_cast<std::int64_t>(table.rows());
  const auto columns = static_cast<std::int64_t>(table.columns.size());
  at::Tensor array = at::empty({rows, columns}, at::kDouble);
  auto* out = array.data_ptr<double>();
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    const TableColumn& column = table.columns[j];
    if (!column.holds_numbers) {
      throw Error(
          "a table of numbers for a .npy file",
          fmt::format("{}: the column {} holds texts", path.string(), io::printable(column.name)),
          "write a .csv file instead");
    }
    for (std::size_t i = 0; i < table.rows(); ++i) {
      out[i * table.columns.size() + j] = column.numbers[i];
    }
  }
  io::write_npy(path, array);
}

}  // namespace

std::string NumberFormat::text(double number) const {
  if (!fixed) {
    return single ? fmt::format("{}", static_cast<float>(number)) : fmt::format("{}", number);
  }
  std::string text = fmt::format("{:.{}f}", number, most_decimals);
  const std::size_t point = text.find('.');
  if (point != std::string::npos) {
    const std::size_t shortest = point + 1 + static_cast<std::size_t>(least_decimals);
    while (text.size() > shortest && text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  // A negative number may round to zero.
  if (text.starts_with('-') && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return text;
}

bool TableColumn::is_missing(std::size_t row) const {
  return holds_numbers ? std::isnan(numbers[row]) : codes[row] < 0;
}

std::string TableColumn::text(std::size_t row) const {
  if (is_missing(row)) return missing_word;
  return holds_numbers ? format.text(numbers[row]) : words[static_cast<std::size_t>(codes[row])];
}

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  return names;
}

const TableColumn* Table::find(std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &TableColumn::name);
  return found == columns.end() ? nullptr : &*found;
}

std::string Table::place(std::size_t row, const TableColumn& column) const {
  return fmt::format("{}, row {}, column {}", source, row_numbers[row], io::printable(column.name));
}

Table Table::subset(std::span<const std::int64_t> indices) const {
  Table out{.source = source,
            .has_header = has_header,
            .columns = {},
            .row_numbers = pick(row_numbers, indices)};
  for (const TableColumn& column : columns) {
    TableColumn& part = out.columns.emplace_back();
    part.name = column.name;
    part.type = column.type;
    part.holds_numbers = column.holds_numbers;
    part.numbers = pick(column.numbers, indices);
    part.codes = pick(column.codes, indices);
    part.words = column.words;
    part.missing_word = column.missing_word;
    part.grid = column.grid;
    part.format = column.format;
  }
  return out;
}

TableSplit split(const Table& table, std::uint64_t seed, double validation_share,
                 double test_share) {
  const auto n = static_cast<std::int64_t>(table.rows());
  const bool shares_are_valid =
      validation_share >= 0 && test_share >= 0 && validation_share + test_share < 1;
  const auto validation = static_cast<std::int64_t>(
      shares_are_valid ? std::llround(validation_share * static_cast<double>(n)) : n);
  const auto test = static_cast<std::int64_t>(
      shares_are_valid ? std::llround(test_share * static_cast<double>(n)) : 0);
  if (n - validation - test < 2) {
    throw usage_error(
        "shares for validation and testing that leave two rows or more to train on",
        fmt::format("{}: {} rows, shares {} and {}", table.source, n, validation_share, test_share),
        "take smaller shares, or a table of more rows");
  }
  std::vector<std::int64_t> order = random_permutation(random_key(seed, RandomUse::data_order), n);
  const auto part = [&](std::int64_t begin, std::int64_t end) {
    std::sort(order.begin() + begin, order.begin() + end);
    return table.subset(std::span(order).subspan(static_cast<std::size_t>(begin),
                                                 static_cast<std::size_t>(end - begin)));
  };
  return {.train = part(validation + test, n),
          .validation = part(0, validation),
          .test = part(validation, validation + test)};
}

void write_table(const std::filesystem::path& path, const Table& table) {
  if (path.extension() == ".npy") return write_array(path, table);
  const std::vector<std::string> header =
      table.has_header ? table.names() : std::vector<std::string>();
  io::write_csv(
      path, header, table.rows(), table.columns.size(),
      [&](std::size_t row, std::size_t column) { return table.columns[column].text(row); },
      path.extension() == ".tsv" ? '\t' : ',');
}

}  // namespace calor::data
