// What the tests of tables share: tables from text, and the real tables where they are.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "calor/data/open.h"
#include "calor/data/table.h"
#include "tests/io/support.h"

namespace calor::data::testing {

using io::testing::error_of;
using io::testing::has;
using io::testing::TemporaryFolder;

// The table of a file "t.csv" that holds `text`.
inline Table table_of(std::string_view text, const TableOptions& options = {}) {
  const TemporaryFolder folder;
  io::testing::put(folder / "t.csv", text);
  Table table = read_table(folder / "t.csv", options);
  table.source = "t.csv";
  return table;
}

inline TableOptions with_columns(const std::string& columns) {
  TableOptions options;
  options.columns = columns;
  return options;
}

// "name\n" and a line for each number.
inline std::string column_text(const std::string& name, const std::vector<double>& numbers) {
  std::string text = name + "\n";
  for (const double number : numbers) text += std::to_string(number) + "\n";
  return text;
}

// The path of a file of the data folders; empty where it is not there.
inline std::filesystem::path real_file(const std::string& name) {
  for (const auto& folder : data_folders()) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / name, ignored)) return folder / name;
  }
  return {};
}

}  // namespace calor::data::testing

#define CALOR_REAL_FILE(variable, name)                                         \
  const std::filesystem::path variable = calor::data::testing::real_file(name); \
  if (variable.empty()) GTEST_SKIP() << "no " << (name) << " in a data folder"
