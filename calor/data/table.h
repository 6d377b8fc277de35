// A table: named columns of numbers or texts, with what its file says of each (type, step,
// spelling, missing cells), so that what a model makes can be written as the file was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calor/core/random.h"
#include "calor/data/table_grid.h"
#include "calor/data/table_options.h"

namespace calor::data {

// How the numbers of a column are spelled.
struct NumberFormat {
  // Fixed point: at most `most_decimals`, trailing zeros dropped down to `least_decimals`.
  int least_decimals = 0;
  int most_decimals = 0;
  // Otherwise the shortest text that reads back to the same double (or float).
  bool fixed = false;
  bool single = false;

  std::string text(double number) const;
  bool operator==(const NumberFormat&) const = default;
};

struct TableColumn {
  std::string name;
  ColumnType type = ColumnType::numeric;

  // One of the two: numbers (NaN where missing), or codes (an index into `words`, -1 where
  // missing). Only a column of numbers can be numeric or integer; an ordinal's words are in order.
  bool holds_numbers = true;
  std::vector<double> numbers;
  std::vector<std::int32_t> codes;
  std::vector<std::string> words;

  std::string missing_word;  // how the file spells a missing cell
  NumberGrid grid;           // its step is the quantum; none for texts
  NumberFormat format;

  std::size_t rows() const { return holds_numbers ? numbers.size() : codes.size(); }
  bool is_missing(std::size_t row) const;
  // The cell as the file spells it.
  std::string text(std::size_t row) const;
};

struct Table {
  std::string source;  // a file's name, for errors
  bool has_header = true;
  std::vector<TableColumn> columns;
  std::vector<std::int64_t> row_numbers;  // of each row in its file, as io::Csv counts them

  std::size_t rows() const { return row_numbers.size(); }
  std::vector<std::string> names() const;
  const TableColumn* find(std::string_view name) const;  // null where there is none
  // "file, row 17, column age", for errors.
  std::string place(std::size_t row, const TableColumn& column) const;

  // The rows at `indices`, in that order. Types, steps and words stay those of the whole table.
  Table subset(std::span<const std::int64_t> indices) const;
};

struct TableSplit {
  Table train;
  Table validation;
  Table test;
};

// Rows at random, a function of (seed, number of rows) alone: a share for validation and a share
// for testing (rounded to whole rows), the rest for training; each part in the file's order. Usage
// error where the shares are negative, or less than two rows are left for training.
TableSplit split(const Table& table, std::uint64_t seed, double validation_share,
                 double test_share);

// Whether the ending is that of a table: .csv .data .txt .tsv .npy .npz
bool is_table_name(const std::filesystem::path& path);

// A CSV file; a .npy array [n] or [n, d], or such an array under the key x or arr_0 of a .npz (of
// f4, f8 or integers; columns x1 ... xd; NaN is a missing cell where data.missing lists nan).
// Types, where data.columns does not say: a column of numbers is integer where all are whole, else
// numeric; texts are categorical. Error, naming file, row and column: an infinity among numbers, a
// text in a column declared numeric, a fraction in one declared integer, a category that an
// ordinal's order lacks, and a column of more than 32 distinct cells, most of them numbers but not
// all. Error on names that come twice; usage error on an unknown column in data.columns.
Table read_table(const std::filesystem::path& path, const TableOptions& options);

// As CSV (tabs for .tsv; a header where the table has one), or as .npy (f8, columns of numbers
// only; missing cells are NaN). Atomic.
void write_table(const std::filesystem::path& path, const Table& table);

}  // namespace calor::data
