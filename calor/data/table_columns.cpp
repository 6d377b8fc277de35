#include "calor/data/table_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::data {
namespace {

constexpr double missing_number = std::numeric_limits<double>::quiet_NaN();
constexpr double largest_number = 1e100;
constexpr std::size_t few_words = 32;
constexpr std::size_t most_words = 100'000;
using Place = std::function<std::string(std::size_t)>;

bool is_text_type(ColumnType type) {
  return type == ColumnType::categorical || type == ColumnType::ordinal;
}

void check_range(double number, std::size_t row, const Place& place) {
  if (std::abs(number) <= largest_number) return;
  throw Error(fmt::format("finite numbers, at most {} in size", largest_number),
              fmt::format("{}: {}", place(row), number),
              "correct or remove that row, or declare what it means with data.missing");
}

// Notes how the numbers of a column are spelled, cell by cell.
class Spelling {
 public:
  void note(std::string_view cell) {
    if (cell.find_first_of("eE") != std::string_view::npos) exponent_ = true;
    const std::size_t point = cell.find('.');
    const int decimals =
        point == std::string_view::npos ? 0 : static_cast<int>(cell.size() - point - 1);
    least_ = std::min(least_, decimals);
    most_ = std::max(most_, decimals);
  }

  NumberFormat format() const {
    NumberFormat format;
    // More decimals than a double has are not printed, since they would show its rounding.
    format.fixed = !exponent_ && most_ <= 17;
    format.most_decimals = format.fixed ? most_ : 0;
    format.least_decimals = format.fixed ? std::min(least_, most_) : 0;
    return format;
  }

 private:
  bool exponent_ = false;
  int least_ = std::numeric_limits<int>::max();
  int most_ = 0;
};

// The step of a column of numbers, as declared or as found, and its type.
void set_type_and_grid(TableColumn& column, bool single, const Place& place,
                       const ColumnDeclaration* declaration) {
  std::vector<double> values;
  for (const double number : column.numbers) {
    if (!std::isnan(number)) values.push_back(number);
  }
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  const auto is_whole = [](double number) { return number == std::floor(number); };
  column.type = !values.empty() && std::ranges::all_of(values, is_whole) ? ColumnType::integer
                                                                         : ColumnType::numeric;
  if (declaration != nullptr) column.type = declaration->type;
  if (column.type == ColumnType::integer) {
    for (std::size_t row = 0; row < column.numbers.size(); ++row) {
      if (std::isnan(column.numbers[row]) || is_whole(column.numbers[row])) continue;
      throw Error(
          "whole numbers in a column declared integer",
          fmt::format("{}: {}", place(row), column.numbers[row]),
          fmt::format("correct that row, or declare {}:numeric in data.columns", column.name));
    }
  }
  if (declaration != nullptr && declaration->step) {
    column.grid = grid_of(*declaration->step);
  } else if (column.type != ColumnType::ignore) {
    column.grid = infer_grid(values, single);
  }
}

struct Words {
  std::vector<std::int32_t> codes;
  std::vector<std::string> words;
};

// Distinct texts in order of appearance.
Words collect_words(const std::string& name, const CellTexts& cells,
                    const std::vector<std::string>& missing_words) {
  Words out;
  out.codes.reserve(cells.rows);
  std::unordered_map<std::string, std::int32_t> index;
  for (std::size_t row = 0; row < cells.rows; ++row) {
    const std::string_view cell = cells.cell(row);
    if (io::is_missing_cell(cell, missing_words)) {
      out.codes.push_back(-1);
      continue;
    }
    const auto [entry, is_new] =
        index.emplace(std::string(cell), static_cast<std::int32_t>(out.words.size()));
    if (is_new) out.words.emplace_back(cell);
    if (out.words.size() > most_words) {
      throw Error(fmt::format("a column of at most {} categories", most_words),
                  fmt::format("{}: one more", cells.place(row)),
                  fmt::format("declare {}:ignore in data.columns", name));
    }
    out.codes.push_back(entry->second);
  }
  return out;
}

// The words of an ordinal in their order.
std::vector<std::string> ordered(const TableColumn& column, const ColumnDeclaration& declaration) {
  if (!declaration.order.empty()) return declaration.order;
  std::vector<std::string> words = column.words;
  for (const std::string& word : words) {
    if (std::isfinite(io::csv_number(word))) continue;
    throw usage_error(
        "the order of an ordinal column's categories, where they are not numbers",
        fmt::format("column {} holds {}", io::printable(column.name), io::printable(word)),
        fmt::format("declare {}:ordinal(first<second<...) in data.columns", column.name));
  }
  std::ranges::stable_sort(
      words, [](const auto& a, const auto& b) { return io::csv_number(a) < io::csv_number(b); });
  return words;
}

void put_in_order(TableColumn& column, const CellTexts& cells,
                  const ColumnDeclaration& declaration) {
  const std::vector<std::string> words = ordered(column, declaration);
  std::unordered_map<std::string, std::int32_t> index;
  for (const auto& word : words) index.emplace(word, static_cast<std::int32_t>(index.size()));
  for (std::size_t row = 0; row < cells.rows; ++row) {
    std::int32_t& code = column.codes[row];
    if (code < 0) continue;
    const std::string& word = column.words[static_cast<std::size_t>(code)];
    const auto found = index.find(word);
    if (found == index.end()) {
      throw Error("one of the categories that data.columns lists for the column",
                  fmt::format("{}: {}", cells.place(row), io::printable(word)),
                  "add it to the list, or to data.missing");
    }
    code = found->second;
  }
  column.words = words;
}

// Most cells are numbers, and the others too different from categories.
void refuse_strays(const TableColumn& column, const CellTexts& cells, std::size_t first_stray,
                   std::size_t numbers) {
  const auto present = std::ranges::count_if(column.codes, [](auto code) { return code >= 0; });
  if (column.words.size() <= few_words || 2 * numbers <= static_cast<std::size_t>(present)) return;
  throw Error(
      "a column of numbers, as most of its cells are",
      fmt::format("{}: {}", cells.place(first_stray), io::printable(cells.cell(first_stray))),
      fmt::format("correct that cell, list it in data.missing, or declare "
                  "{}:categorical or {}:ignore in data.columns",
                  column.name, column.name));
}

// All present cells as numbers; empty where one is a text.
struct Numbers {
  std::vector<double> numbers;
  NumberFormat format;
  std::size_t count = 0;  // of cells that are numbers
  std::optional<std::size_t> first_text;
};

Numbers collect_numbers(const CellTexts& cells, const std::vector<std::string>& missing_words) {
  Numbers out;
  Spelling spelling;
  out.numbers.assign(cells.rows, missing_number);
  for (std::size_t row = 0; row < cells.rows; ++row) {
    const std::string_view cell = cells.cell(row);
    if (io::is_missing_cell(cell, missing_words)) continue;
    const double number = io::csv_number(cell);
    out.numbers[row] = number;
    if (std::isnan(number)) {
      if (!out.first_text) out.first_text = row;
      continue;
    }
    ++out.count;
    if (!out.first_text) spelling.note(cell);
  }
  out.format = spelling.format();
  return out;
}

void make_texts(TableColumn& column, const CellTexts& cells, const ColumnDeclaration* declaration,
                const std::vector<std::string>& missing_words) {
  Words words = collect_words(column.name, cells, missing_words);
  column.holds_numbers = false;
  column.codes = std::move(words.codes);
  column.words = std::move(words.words);
  column.type = declaration == nullptr ? ColumnType::categorical : declaration->type;
  if (column.type == ColumnType::ordinal) put_in_order(column, cells, *declaration);
}

}  // namespace

TableColumn make_column(const std::string& name, const CellTexts& cells,
                        const ColumnDeclaration* declaration,
                        const std::vector<std::string>& missing_words) {
  TableColumn column;
  column.name = name;
  for (std::size_t row = 0; row < cells.rows && column.missing_word.empty(); ++row) {
    const std::string_view cell = cells.cell(row);
    if (io::is_missing_cell(cell, missing_words)) column.missing_word = cell;
  }
  if (declaration != nullptr && is_text_type(declaration->type)) {
    make_texts(column, cells, declaration, missing_words);
    return column;
  }
  Numbers numbers = collect_numbers(cells, missing_words);
  if (!numbers.first_text) {
    for (std::size_t row = 0; row < cells.rows; ++row) {
      if (!std::isnan(numbers.numbers[row])) check_range(numbers.numbers[row], row, cells.place);
    }
    column.numbers = std::move(numbers.numbers);
    column.format = numbers.format;
    set_type_and_grid(column, false, cells.place, declaration);
    return column;
  }
  if (declaration != nullptr && declaration->type != ColumnType::ignore) {
    throw Error(fmt::format("numbers in a column declared {}", to_text(declaration->type)),
                fmt::format("{}: {}", cells.place(*numbers.first_text),
                            io::printable(cells.cell(*numbers.first_text))),
                "correct that cell, list it in data.missing, or declare the column categorical");
  }
  make_texts(column, cells, declaration, missing_words);
  if (declaration == nullptr) {
    refuse_strays(column, cells, *numbers.first_text, numbers.count);
  }
  return column;
}

TableColumn make_column(const std::string& name, std::vector<double> numbers, bool single,
                        const Place& place, const ColumnDeclaration* declaration) {
  for (std::size_t row = 0; row < numbers.size(); ++row) {
    if (!std::isnan(numbers[row])) check_range(numbers[row], row, place);
  }
  TableColumn column;
  column.name = name;
  column.missing_word = "nan";
  column.numbers = std::move(numbers);
  column.format.single = single;
  if (declaration != nullptr && is_text_type(declaration->type)) {
    const TableColumn spelled = column;
    std::string cell;
    const CellTexts cells{.rows = spelled.rows(),
                          .cell = [&](std::size_t row) -> std::string_view {
                            cell = spelled.text(row);
                            return cell;
                          },
                          .place = place};
    make_texts(column, cells, declaration, {column.missing_word});
    column.numbers.clear();
    return column;
  }
  set_type_and_grid(column, single, place, declaration);
  if (column.grid || column.type == ColumnType::integer) {
    column.format.fixed = true;
    column.format.most_decimals = column.grid.step.decimals;
  }
  return column;
}

}  // namespace calor::data
