// Tables as text: CSV after RFC 4180, read with distrust. Quoted cells may hold separators, quotes
// and line ends; lines end in LF, CRLF or CR; a UTF-8 byte order mark and blank lines at the end
// are passed over; blanks around unquoted cells are trimmed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace calor::io {

enum class CsvHeader { automatic, yes, no };

struct CsvOptions {
  // automatic: the first row is a header where none of its cells is a number and, below, a column
  // holds only numbers; or where all its cells are distinct, non-missing texts that do not all
  // occur again below.
  CsvHeader header = CsvHeader::automatic;
  // ',', ';' or '\t'; 0: the one that cuts the first rows into most cells, equally many in each.
  char separator = 0;
  // Cells that say nothing about a column when a header is looked for (in any case of letters).
  std::vector<std::string> missing = {"", "?", "NA", "nan"};
  std::uint64_t max_bytes = std::uint64_t{4} << 30;
  std::size_t max_columns = 10'000;
  std::size_t max_cell_bytes = 1 << 16;
};

// A table of texts in one block of memory: the file's text once and eight bytes a cell.
class Csv {
 public:
  std::size_t rows() const { return rows_; }  // without the header
  std::size_t columns() const { return columns_; }
  std::string_view cell(std::size_t row, std::size_t column) const;
  bool has_header() const { return !header_.empty(); }
  const std::vector<std::string>& header() const { return header_; }  // empty where there is none
  char separator() const { return separator_; }
  // The number of a row in its file, from 1 and counting the header, as spreadsheets do.
  std::int64_t row_number(std::size_t row) const {
    return static_cast<std::int64_t>(row + skipped_rows_ + 1);
  }

 private:
  friend class CsvParser;
  std::string text_;                 // all cells, one after the other
  std::vector<std::uint64_t> ends_;  // where each ends
  std::vector<std::string> header_;
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t first_cell_ = 0;    // of the first row below the header
  std::size_t skipped_rows_ = 0;  // blank lines at the start and the header
  char separator_ = ',';
};

// Error, naming the file and the row, on an empty file, a row with more or fewer cells than the
// first, text after a closing quote, a quote that is never closed, a zero byte, text that is not
// UTF-8, or anything beyond the bounds of `options`. Reads in pieces.
Csv read_csv(const std::filesystem::path& path, const CsvOptions& options = {});
Csv parse_csv(std::string_view text, const std::string& name_for_errors,
              const CsvOptions& options = {});

// The number that the whole of `text` spells in decimal ("-1.5", "+2e3", ".5"; also inf, and
// infinity where it is too large for a double), or NaN where it spells none.
double csv_number(std::string_view text);

// Whether `cell` is one of `words`, whatever the case of its letters.
bool is_missing_cell(std::string_view cell, std::span<const std::string> words);

// One line of CSV, with quotes only where a reader needs them, and its line end.
void append_csv_row(std::string& out, std::span<const std::string_view> cells,
                    char separator = ',');

// Writes atomically, row by row; `cell(row, column)` is asked in that order. An empty header: none.
using CsvCell = std::function<std::string(std::size_t row, std::size_t column)>;
void write_csv(const std::filesystem::path& path, std::span<const std::string> header,
               std::size_t rows, std::size_t columns, const CsvCell& cell, char separator = ',');

// The same for cells in memory, column by column; all columns are of one length.
void write_csv(const std::filesystem::path& path, std::span<const std::string> header,
               const std::vector<std::vector<std::string>>& columns, char separator = ',');

}  // namespace calor::io
