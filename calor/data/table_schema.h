// Which columns a model's table had, and where they are in another table.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "calor/data/table.h"

namespace calor::data {

struct TableSchema {
  std::vector<std::string> names;  // of all columns of the table, those left out too
  bool has_header = true;

  // The columns `wanted` (some of `names`), in that order. By name where both tables have a header:
  // columns that the model leaves out may be absent, and their order may differ. By position where
  // one has none: there are as many columns as in the model's table, or as are wanted. Error on
  // missing, unknown and repeated columns.
  std::vector<const TableColumn*> match(const Table& table,
                                        std::span<const std::string> wanted) const;
};

TableSchema schema_of(const Table& table);

// Error where two columns have one name.
void check_distinct_names(const Table& table);

// The columns of data.condition, and all others but ignored ones. Usage error on an unknown or
// ignored condition; Error where no column is left.
std::vector<std::string> condition_columns(const Table& table, const TableOptions& options);
std::vector<std::string> target_columns(const Table& table, const TableOptions& options);

}  // namespace calor::data
