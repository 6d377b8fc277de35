// How one column is encoded: what was fitted to it on the rows of training.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "calor/data/table.h"
#include "calor/data/table_categories.h"
#include "calor/data/table_quantile.h"

namespace calor::data {

struct NumberCode {
  NumberGrid grid;
  NumberFormat format;
  bool dequantised = false;
  // Of the training rows, after dequantisation.
  double mean = 0;
  double deviation = 1;
  std::optional<QuantileMap> quantiles;  // none: (y - mean) / deviation
  // The share of rows that hold the most frequent value, where it is not dequantised: a pile whose
  // density has no bound.
  double repeated_share = 0;

  QuantileMap::Point forward(double y) const;
  double inverse(double z) const;
  // y for a cell's value and a uniform number.
  double dequantise(double value, double u) const;
};

struct CategoryCode {
  std::vector<std::string> words;  // in the order of their intervals
  CategoryMap map;
};

struct ColumnCode {
  std::string name;
  ColumnType type = ColumnType::numeric;
  std::optional<NumberCode> number;      // of numeric and integer columns
  std::optional<CategoryCode> category;  // of the others
  // Shares of present and missing cells, where training has missing ones.
  std::optional<CategoryMap> missing;
  std::string missing_word;
};

// Error on a column that is constant or empty in training.
// `is_target`: columns with a step are dequantised.
ColumnCode fit_column(const Table& train, const TableColumn& column, const TableOptions& options,
                      bool is_target);

// A column's cells as a code needs them, with all its errors: a text among numbers, a category that
// is unknown, a missing cell where training had none, an infinity.
class ColumnReader {
 public:
  // The three must outlive this.
  ColumnReader(const Table& table, const TableColumn& column, const ColumnCode& code);

  bool is_missing(std::size_t row) const;
  double number(std::size_t row) const;
  std::size_t category(std::size_t row) const;

 private:
  void index_words();
  std::optional<std::size_t> find_word(const std::string& word) const;
  [[noreturn]] void refuse_category(std::size_t row) const;

  const Table& table_;
  const TableColumn& column_;
  const ColumnCode& code_;
  std::unordered_map<std::string_view, std::size_t> by_word_;
  std::unordered_map<double, std::size_t> by_number_;
  std::vector<double> word_numbers_;                         // of a column of texts
  std::vector<std::optional<std::size_t>> word_categories_;  // of a column of texts
};

// One line for people: type, step, dimensions, categories.
std::string describe(const ColumnCode& code);

// Bit for bit. Error where the JSON is none of a column code's; `file` says where it is from.
nlohmann::json to_json(const ColumnCode& code);
ColumnCode column_code_from_json(const nlohmann::json& json, const std::string& file);

}  // namespace calor::data
