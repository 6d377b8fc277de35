// From the cells of a file to a column: is it one of numbers, of which type, with what step, and
// how are its numbers spelled?
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "calor/data/table.h"

namespace calor::data {

// A column's cells as texts; the views need not outlive the call that makes them.
struct CellTexts {
  std::size_t rows = 0;
  std::function<std::string_view(std::size_t)> cell;
  // Where a row is, for errors: "file, row 17, column age".
  std::function<std::string(std::size_t)> place;
};

// Types, steps and errors as read_table() promises. `declaration`: null where data.columns is
// silent on the column.
TableColumn make_column(const std::string& name, const CellTexts& cells,
                        const ColumnDeclaration* declaration,
                        const std::vector<std::string>& missing_words);

// For a column that came as numbers (NaN where missing), stored in single precision or not.
TableColumn make_column(const std::string& name, std::vector<double> numbers, bool single,
                        const std::function<std::string(std::size_t)>& place,
                        const ColumnDeclaration* declaration);

}  // namespace calor::data
