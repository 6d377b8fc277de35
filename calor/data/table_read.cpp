// Reads tables from CSV, .npy and .npz files.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "calor/core/error.h"
#include "calor/data/table.h"
#include "calor/data/table_columns.h"
#include "calor/io/bytes.h"
#include "calor/io/ending.h"
#include "calor/io/npy.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

const ColumnDeclaration* find_declaration(const std::vector<ColumnDeclaration>& declarations,
                                          std::string_view name) {
  const auto found = std::ranges::find(declarations, name, &ColumnDeclaration::name);
  return found == declarations.end() ? nullptr : &*found;
}

void check_names(const std::vector<std::string>& names, const std::string& file,
                 const std::vector<ColumnDeclaration>& declarations) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) continue;
    throw Error("columns with different names",
                fmt::format("{}: the column {} twice", file, io::printable(name)),
                "rename one of them, or set data.header=no where the first row is data");
  }
  for (const auto& declaration : declarations) {
    if (seen.contains(declaration.name)) continue;
    const std::string nearest = nearest_name(declaration.name, names);
    throw usage_error(fmt::format("names of columns of {} in data.columns", file),
                      fmt::format("the column {}", io::printable(declaration.name)),
                      nearest.empty() ? fmt::format("there are: {}", fmt::join(names, ", "))
                                      : fmt::format("did you mean {}?", nearest));
  }
}

std::vector<std::string> numbered_names(std::size_t columns) {
  std::vector<std::string> names;
  for (std::size_t j = 0; j < columns; ++j) names.push_back(fmt::format("x{}", j + 1));
  return names;
}

// A header's names; a column without one is called by its number.
std::vector<std::string> names_of(const io::Csv& csv) {
  std::vector<std::string> names = numbered_names(csv.columns());
  for (std::size_t j = 0; j < csv.header().size(); ++j) {
    if (!csv.header()[j].empty()) names[j] = csv.header()[j];
  }
  return names;
}

Table read_csv_table(const fs::path& path, const TableOptions& options,
                     const std::vector<ColumnDeclaration>& declarations) {
  io::CsvOptions csv_options;
  csv_options.header = options.header;
  csv_options.separator = options.separator;
  csv_options.missing = options.missing_words();
  const io::Csv csv = io::read_csv(path, csv_options);
  Table table;
  table.source = path.string();
  table.has_header = csv.has_header();
  for (std::size_t i = 0; i < csv.rows(); ++i) table.row_numbers.push_back(csv.row_number(i));
  const std::vector<std::string> names = names_of(csv);
  check_names(names, table.source, declarations);
  for (std::size_t j = 0; j < csv.columns(); ++j) {
    const CellTexts cells{.rows = csv.rows(),
                          .cell = [&](std::size_t row) { return csv.cell(row, j); },
                          .place =
                              [&](std::size_t row) {
                                return fmt::format("{}, row {}, column {}", table.source,
                                                   csv.row_number(row), io::printable(names[j]));
                              }};
    table.columns.push_back(make_column(names[j], cells, find_declaration(declarations, names[j]),
                                        csv_options.missing));
  }
  return table;
}

at::Tensor read_array(const fs::path& path) {
  if (io::ending_of(path) == ".npy") return io::read_npy(path);
  const std::map<std::string, at::Tensor> arrays = io::read_npz(path);
  for (const char* key : {"x", "arr_0"}) {
    const auto found = arrays.find(key);
    if (found != arrays.end()) return found->second;
  }
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(io::printable(name));
  throw Error("an array under the name x or arr_0",
              fmt::format("{} holds {}", path.string(),
                          names.empty() ? "no array" : fmt::format("{}", fmt::join(names, ", "))),
              "save it again under one of these names");
}

// As doubles [n, d].
at::Tensor as_table(const at::Tensor& array, const std::string& file) {
  const auto type = array.scalar_type();
  const bool numbers =
      type == at::kFloat || type == at::kDouble || at::isIntegralType(type, /*includeBool=*/false);
  const at::Tensor table = array.dim() == 1 ? array.unsqueeze(1) : array;
  if (!numbers || table.dim() != 2 || table.numel() == 0) {
    throw Error(
        "an array [n, d] or [n] of f4, f8 or integers, n and d at least 1",
        fmt::format("{} is {} [{}]", file, c10::toString(type), fmt::join(array.sizes(), ", ")),
        "convert or reshape the array");
  }
  return table.to(at::kDouble).t().contiguous();
}

Table read_array_table(const fs::path& path, const TableOptions& options,
                       const std::vector<ColumnDeclaration>& declarations) {
  const at::Tensor array = read_array(path);
  const at::Tensor transposed = as_table(array, path.string());
  const auto rows = static_cast<std::size_t>(transposed.size(1));
  const bool nan_is_missing = io::is_missing_cell("nan", options.missing_words());
  Table table;
  table.source = path.string();
  table.has_header = false;
  for (std::size_t i = 0; i < rows; ++i) table.row_numbers.push_back(std::int64_t(i) + 1);
  const auto names = numbered_names(static_cast<std::size_t>(transposed.size(0)));
  check_names(names, table.source, declarations);
  for (std::size_t j = 0; j < names.size(); ++j) {
    const auto place = [&](std::size_t row) {
      return fmt::format("{}, row {}, column {}", table.source, row + 1, names[j]);
    };
    const double* begin = transposed.data_ptr<double>() + j * rows;
    std::vector<double> numbers(begin, begin + rows);
    for (std::size_t i = 0; i < rows && !nan_is_missing; ++i) {
      if (!std::isnan(numbers[i])) continue;
      throw Error("finite numbers", fmt::format("{}: nan", place(i)),
                  "correct or remove that row, or list nan in data.missing");
    }
    table.columns.push_back(make_column(names[j], std::move(numbers),
                                        array.scalar_type() == at::kFloat, place,
                                        find_declaration(declarations, names[j])));
  }
  return table;
}

}  // namespace

bool is_table_name(const fs::path& path) {
  static constexpr std::array endings{".csv", ".data", ".txt", ".tsv", ".npy", ".npz"};
  return std::ranges::count(endings, io::ending_of(path)) > 0;
}

Table read_table(const fs::path& path, const TableOptions& options) {
  const std::vector<ColumnDeclaration> declarations = parse_declarations(options.columns);
  const std::string ending = io::ending_of(path);
  const bool is_array = ending == ".npy" || ending == ".npz";
  return is_array ? read_array_table(path, options, declarations)
                  : read_csv_table(path, options, declarations);
}

}  // namespace calor::data
