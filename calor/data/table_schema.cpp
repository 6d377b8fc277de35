#include "calor/data/table_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::data {
namespace {

void refuse_unknown_columns(const Table& table, const std::vector<std::string>& names) {
  for (const TableColumn& column : table.columns) {
    if (std::ranges::count(names, column.name) > 0) continue;
    const std::string nearest = nearest_name(column.name, names);
    throw Error(
        fmt::format("the columns that the model was trained with: {}", fmt::join(names, ", ")),
        fmt::format("{}: the column {}", table.source, io::printable(column.name)),
        nearest.empty() ? "remove that column" : fmt::format("did you mean {}?", nearest));
  }
}

std::vector<const TableColumn*> match_by_name(const Table& table,
                                              const std::vector<std::string>& names,
                                              std::span<const std::string> wanted) {
  refuse_unknown_columns(table, names);
  std::vector<const TableColumn*> columns;
  for (const std::string& name : wanted) {
    columns.push_back(table.find(name));
    if (columns.back() != nullptr) continue;
    throw Error(
        fmt::format("the columns that the model was trained with: {}", fmt::join(wanted, ", ")),
        fmt::format("{} lacks the column {}", table.source, io::printable(name)),
        "add that column; data.header=no says that the first row is data");
  }
  return columns;
}

}  // namespace

std::vector<const TableColumn*> TableSchema::match(const Table& table,
                                                   std::span<const std::string> wanted) const {
  check_distinct_names(table);
  if (has_header && table.has_header) return match_by_name(table, names, wanted);
  const std::size_t count = table.columns.size();
  if (count != names.size() && count != wanted.size()) {
    throw Error(
        fmt::format("{} columns, as in the table that the model was trained with", names.size()),
        fmt::format("{} has {} columns", table.source, count),
        "bring the columns into that order and number, or give both tables a header");
  }
  std::vector<const TableColumn*> columns;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto place = std::ranges::find(names, wanted[i]) - names.begin();
    const std::size_t index = count == names.size() ? static_cast<std::size_t>(place) : i;
    columns.push_back(&table.columns.at(index));
  }
  return columns;
}

TableSchema schema_of(const Table& table) {
  check_distinct_names(table);
  return {.names = table.names(), .has_header = table.has_header};
}

void check_distinct_names(const Table& table) {
  std::set<std::string_view> names;
  for (const TableColumn& column : table.columns) {
    if (names.insert(column.name).second) continue;
    throw Error("columns with different names",
                fmt::format("{}: the column {} twice", table.source, io::printable(column.name)),
                "rename one of them");
  }
}

std::vector<std::string> condition_columns(const Table& table, const TableOptions& options) {
  std::vector<std::string> names = parse_names(options.condition, "data.condition");
  for (const std::string& name : names) {
    const TableColumn* column = table.find(name);
    if (column != nullptr && column->type != ColumnType::ignore) continue;
    const std::string nearest = column == nullptr ? nearest_name(name, table.names()) : "";
    throw usage_error(
        fmt::format("names of columns of {} in data.condition, none of them ignored", table.source),
        fmt::format("{}{}", io::printable(name), column == nullptr ? "" : ", an ignored column"),
        nearest.empty() ? fmt::format("there are: {}", fmt::join(table.names(), ", "))
                        : fmt::format("did you mean {}?", nearest));
  }
  return names;
}

std::vector<std::string> target_columns(const Table& table, const TableOptions& options) {
  const std::vector<std::string> conditions = condition_columns(table, options);
  std::vector<std::string> names;
  for (const TableColumn& column : table.columns) {
    if (column.type != ColumnType::ignore && std::ranges::count(conditions, column.name) == 0) {
      names.push_back(column.name);
    }
  }
  if (names.empty()) {
    throw Error("a table with at least one column to model",
                fmt::format("{}: all columns are ignored or conditions", table.source),
                "leave columns out of data.condition, or do not declare them as ignore");
  }
  return names;
}

}  // namespace calor::data
