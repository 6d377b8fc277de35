// The rows that a command is given for a model of points or of a table: from a file, or from the
// part of its own data that a model was not trained on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "app/run_argument.h"
#include "calor/data/training_data.h"
#include "calor/flow/given.h"

namespace calor::app {

struct Rows {
  at::Tensor rows;             // fp32 [N, numbers], as the model takes them
  flow::Given given;           //
  at::Tensor to_standardised;  // float64 [N]: added to log-densities
  at::Tensor to_original;
  std::vector<std::int64_t> row_numbers;  // in the file, from 1
  std::string source;                     // for people
  std::string note;                       // what a log-density of them is
};

// `file`: a table with the model's columns, or points (.npy or CSV of two columns); empty: the
// `split` ("test", "validation" or "train") of the data that the model was trained on, or fresh
// points of its law (`count` of them). Number `draw` of the dequantisations that the seed has.
// Error where the model is one of pictures.
Rows open_rows(const RunModel& model, const std::string& file, const std::string& split,
               std::int64_t count, std::int64_t seed, std::int64_t draw = 0);

// The exact numbers of a table's columns, side by side: float64 [rows, columns]. UsageError, naming
// who wants numbers and with this hint, where a column holds texts.
at::Tensor columns_of(const data::Table& table, const std::string& wanted_by,
                      const std::string& hint);

// The settings that a model was trained with.
data::DataOptions data_options_of(const RunModel& model);

// The table behind a split, for metrics on columns.
data::Table split_table(const RunModel& model, const std::string& split);

}  // namespace calor::app
