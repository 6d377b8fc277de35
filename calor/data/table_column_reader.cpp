// The cells of a table as a column's code needs them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/data/table_column_code.h"
#include "calor/io/bytes.h"
#include "calor/io/csv.h"

namespace calor::data {

ColumnReader::ColumnReader(const Table& table, const TableColumn& column, const ColumnCode& code)
    : table_(table), column_(column), code_(code) {
  if (code.category) index_words();
  if (column.holds_numbers) return;
  for (const std::string& word : column.words) {
    if (code.number) {
      word_numbers_.push_back(io::csv_number(word));
    } else {
      word_categories_.push_back(find_word(word));
    }
  }
}

bool ColumnReader::is_missing(std::size_t row) const {
  const bool missing = column_.is_missing(row);
  if (missing && !code_.missing) {
    throw Error("a value in every cell of a column that had no missing cell in training",
                fmt::format("{}: {}", table_.place(row, column_),
                            column_.missing_word.empty() ? "an empty cell"
                                                         : io::printable(column_.missing_word)),
                "fill or remove that row, or train on rows that have missing cells there, too");
  }
  return missing;
}

double ColumnReader::number(std::size_t row) const {
  const double number = column_.holds_numbers
                            ? column_.numbers[row]
                            : word_numbers_[static_cast<std::size_t>(column_.codes[row])];
  if (!std::isfinite(number)) {
    throw Error("a finite number, as in the column's rows of training",
                fmt::format("{}: {}", table_.place(row, column_),
                            column_.holds_numbers ? fmt::to_string(number)
                                                  : io::printable(column_.text(row))),
                "correct or remove that row, or list that cell in data.missing");
  }
  return number;
}

std::size_t ColumnReader::category(std::size_t row) const {
  const auto found = column_.holds_numbers
                         ? find_word(column_.text(row))
                         : word_categories_[static_cast<std::size_t>(column_.codes[row])];
  if (!found) refuse_category(row);
  return *found;
}

void ColumnReader::index_words() {
  const auto& words = code_.category->words;
  for (std::size_t k = 0; k < words.size(); ++k) {
    by_word_.emplace(words[k], k);
    const double number = io::csv_number(words[k]);
    if (!std::isnan(number)) by_number_.emplace(number, k);
  }
}

// By its spelling, else by the number that it spells ("1.0" for "1").
std::optional<std::size_t> ColumnReader::find_word(const std::string& word) const {
  const auto found = by_word_.find(word);
  if (found != by_word_.end()) return found->second;
  const double number = io::csv_number(word);
  const auto equal = std::isnan(number) ? by_number_.end() : by_number_.find(number);
  if (equal == by_number_.end()) return std::nullopt;
  return equal->second;
}

void ColumnReader::refuse_category(std::size_t row) const {
  const std::string word = column_.text(row);
  const std::string nearest = nearest_name(word, code_.category->words);
  throw Error(fmt::format("one of the {} categories that the column had in training",
                          code_.category->words.size()),
              fmt::format("{}: {}", table_.place(row, column_), io::printable(word)),
              nearest.empty() ? "correct or remove that row, or train with rows that have it"
                              : fmt::format("did you mean {}?", nearest));
}

}  // namespace calor::data
