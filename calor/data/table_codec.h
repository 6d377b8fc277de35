// Between a table and the rows that a model of continuous densities works on: one number a column,
// whatever its type, made (nearly) standard normal; and what to add to a log-density of such rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "calor/core/random.h"
#include "calor/data/table.h"

namespace calor::data {

// Rows in the encoded space, fp64 [n, width], and two corrections, fp64 [n]:
//   log p(rows) + to_standardised  is the log-density with every column of numbers in units of its
//                                  training mean and deviation (after dequantisation),
//   log p(rows) + to_original      the log-density in the file's own units.
// Categories, ordinals and missing cells add the same log-probabilities to both.
struct Encoded {
  at::Tensor rows;
  at::Tensor to_standardised;
  at::Tensor to_original;
};

// Fitted on the rows of training alone; types, steps, spelling and the names of categories are
// those of the whole table that they are from (a category without a row in training has half a
// row).
//
// A column is one dimension. Numbers: y is the value, or, where the column has a step, a uniform
// point of the value's cell (NumberGrid; value - step/2 to value + step/2); then z = (y - mean) /
// deviation, or Phi^-1(F(y)) (QuantileMap). A value beside the grid counts as its nearest
// neighbour on it. Categories: CategoryMap. A column with missing cells in training has a second
// dimension, of the categories present and missing, and where a cell is missing its first dimension
// is fresh noise g ~ N(0, 1), whose log-density is taken off again: a bound, by Jensen.
//
// What is encoded comes back: exactly, but for numbers without a step, which come back to within
// rounding of the column's largest.
class TableCodec {
 public:
  // `columns`: which to model, in what order; empty: target_columns(train, options). Error on a
  // single row, a constant column, or names that come twice.
  static TableCodec fit(const Table& train, const TableOptions& options,
                        const std::vector<std::string>& columns = {});

  // Numbers drawn are functions of (key, a row's number in its file, column). Error, naming file,
  // row and column, on a cell that the columns of training do not allow; on columns, as
  // TableSchema::match.
  Encoded encode(const Table& table, RandomKey key) const;

  // Rows [n, width] of any floating type, as a table with the columns, types and spelling of
  // training. Error on rows that are not finite.
  Table decode(const at::Tensor& rows) const;

  std::int64_t width() const;
  const std::vector<std::string>& column_names() const;
  // For people, a line for each column.
  std::string describe() const;

  // Whether the corrected log-density is a lower bound: something was made continuous or missing.
  bool is_bound() const;
  // One sentence that says what the corrected log-density is.
  std::string likelihood_note() const;

  std::string to_json() const;
  // Error on damaged JSON; `file` says where it is from.
  static TableCodec from_json(const std::string& json, const std::string& file);

 private:
  struct Parts;
  explicit TableCodec(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace calor::data
