#include "calor/io/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_set>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"
#include "calor/io/utf8.h"

namespace calor::io {
namespace {

constexpr std::size_t piece_bytes = 1 << 20;
constexpr std::size_t sniffed_bytes = 1 << 16;
constexpr std::size_t sniffed_rows = 20;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool same_but_for_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// How many cells the first complete rows have under a separator.
std::vector<std::size_t> cells_per_row(std::string_view head, char separator) {
  std::vector<std::size_t> counts;
  std::size_t cells = 1;
  std::size_t bytes = 0;
  bool quoted = false;
  for (const char c : head) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '\n' || c == '\r')) {
      if (bytes > 0) counts.push_back(cells);
      if (counts.size() == sniffed_rows) return counts;
      cells = 1;
      bytes = 0;
      continue;
    }
    if (!quoted && c == separator) ++cells;
    ++bytes;
  }
  // The last row may have been cut short, so it counts only where it is the only one.
  if (counts.empty()) counts.push_back(cells);
  return counts;
}

char sniff_separator(std::string_view head) {
  char best = ',';
  std::pair<bool, std::size_t> best_score{false, 1};
  for (const char separator : {',', '\t', ';'}) {
    const auto counts = cells_per_row(head, separator);
    const bool equal = std::ranges::all_of(counts, [&](auto n) { return n == counts[0]; });
    const std::pair score{equal && counts[0] > 1, counts[0]};
    if (score > best_score) {
      best = separator;
      best_score = score;
    }
  }
  return best;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

// Takes the text in pieces of any size, one byte after the other.
class CsvParser {
 public:
  CsvParser(std::string name, const CsvOptions& options)
      : name_(std::move(name)), options_(options) {
    csv_.separator_ = options.separator;
  }

  void feed(std::string_view piece) {
    if (bytes_ == 0) {
      if (piece.starts_with(byte_order_mark)) piece.remove_prefix(byte_order_mark.size());
      if (csv_.separator_ == 0) csv_.separator_ = sniff_separator(piece.substr(0, sniffed_bytes));
    }
    bytes_ += piece.size();
    for (const char c : piece) take(c);
  }

  Csv finish() {
    if (place_ == Place::quoted) {
      throw Error("a closing quotation mark for every opening one",
                  fmt::format("{}, row {}: a quoted cell that the file's end cuts short", name_,
                              row_number()),
                  "close the quotation, or write a quotation mark inside a cell twice");
    }
    if (place_ != Place::row_start) end_row();
    csv_.rows_ = csv_.columns_ == 0 ? 0 : csv_.ends_.size() / csv_.columns_;
    if (csv_.rows_ == 0) empty_file("no row");
    check_utf8();
    if (wants_header()) take_header();
    if (csv_.rows_ == 0) empty_file("a header and no row below it");
    return std::move(csv_);
  }

 private:
  enum class Place { row_start, cell_start, unquoted, quoted, after_quote };

  std::int64_t row_number() const {
    const std::size_t complete = csv_.columns_ == 0 ? 0 : csv_.ends_.size() / csv_.columns_;
    return static_cast<std::int64_t>(complete + csv_.skipped_rows_ + blank_rows_ + 1);
  }

  [[noreturn]] void empty_file(const char* what) const {
    throw Error("a table with at least one row", fmt::format("{} holds {}", name_, what),
                "choose another file, or data.header=no where the first row is data");
  }

  void take(char c) {
    if (c == '\0') {
      throw Error("a table as UTF-8 text",
                  fmt::format("{}, row {}: a zero byte", name_, row_number()),
                  "save the table as CSV in UTF-8 (not as UTF-16, nor as a spreadsheet)");
    }
    if (std::exchange(after_return_, false) && c == '\n') return;
    switch (place_) {
      case Place::quoted:
        if (c == '"') {
          place_ = Place::after_quote;
        } else {
          put(c);
        }
        return;
      case Place::after_quote:
        return take_after_quote(c);
      case Place::row_start:
      case Place::cell_start:
        if (c == '"') {
          place_ = Place::quoted;
          return;
        }
        place_ = place_ == Place::row_start && is_line_end(c) ? place_ : Place::cell_start;
        break;
      case Place::unquoted:
        break;
    }
    take_outside(c);
  }

  static bool is_line_end(char c) { return c == '\n' || c == '\r'; }

  void take_outside(char c) {
    if (c == csv_.separator_) {
      end_cell();
    } else if (is_line_end(c)) {
      after_return_ = c == '\r';
      end_row();
    } else if (place_ != Place::cell_start || !is_blank(c)) {
      place_ = Place::unquoted;
      put(c);
    }
  }

  // A second quotation mark stands for one in the cell; else the cell is at its end.
  void take_after_quote(char c) {
    if (c == '"' && !closed_) {
      put(c);
      place_ = Place::quoted;
    } else if (c == csv_.separator_ || is_line_end(c)) {
      take_outside(c);
    } else if (is_blank(c)) {
      closed_ = true;
    } else {
      throw Error("a separator or the row's end after a quoted cell",
                  fmt::format("{}, row {}, cell {}: {}", name_, row_number(), row_ends_.size() + 1,
                              printable(std::string_view(&c, 1))),
                  "write a quotation mark inside a quoted cell twice");
    }
  }

  void put(char c) {
    csv_.text_.push_back(c);
    if (csv_.text_.size() - cell_begin_ > options_.max_cell_bytes) {
      throw Error(
          fmt::format("cells of at most {} bytes", options_.max_cell_bytes),
          fmt::format("{}, row {}, cell {} is longer", name_, row_number(), row_ends_.size() + 1),
          "look for a quotation mark that is not closed, or leave that column out");
    }
  }

  void end_cell() {
    if (place_ != Place::after_quote) {
      while (csv_.text_.size() > cell_begin_ && is_blank(csv_.text_.back())) csv_.text_.pop_back();
    } else {
      row_quoted_ = true;
    }
    if (row_ends_.size() == options_.max_columns) {
      throw Error(fmt::format("at most {} columns", options_.max_columns),
                  fmt::format("{}, row {} has more", name_, row_number()),
                  "name the separator with data.separator, or use fewer columns");
    }
    row_ends_.push_back(csv_.text_.size());
    cell_begin_ = csv_.text_.size();
    closed_ = false;
    place_ = Place::cell_start;
  }

  void end_row() {
    end_cell();
    place_ = Place::row_start;
    const std::uint64_t begin = csv_.ends_.empty() ? 0 : csv_.ends_.back();
    const std::size_t cells = row_ends_.size();
    if (cells == 1 && !std::exchange(row_quoted_, false) && row_ends_[0] == begin) {
      ++(csv_.columns_ == 0 ? csv_.skipped_rows_ : blank_rows_);
      row_ends_.clear();
      return;
    }
    row_quoted_ = false;
    if (csv_.columns_ == 0) csv_.columns_ = cells;
    if (csv_.columns_ > 1 && blank_rows_ > 0) refuse_row(row_number() - 1, "is blank");
    if (cells != csv_.columns_) {
      refuse_row(row_number(), fmt::format("has {} cell{}", cells, cells == 1 ? "" : "s"));
    }
    csv_.ends_.insert(csv_.ends_.end(), std::exchange(blank_rows_, 0), begin);
    csv_.ends_.insert(csv_.ends_.end(), row_ends_.begin(), row_ends_.end());
    row_ends_.clear();
  }

  [[noreturn]] void refuse_row(std::int64_t row, const std::string& what) const {
    throw Error(fmt::format("{} cells in every row, as in the first", csv_.columns_),
                fmt::format("{}: row {} {}", name_, row, what),
                "complete or remove that row, quote cells that hold the separator, or name the "
                "separator with data.separator");
  }

  void check_utf8() const {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::ranges::all_of(csv_.text_, is_ascii)) return;
    for (std::size_t row = 0; row < csv_.rows_; ++row) {
      for (std::size_t column = 0; column < csv_.columns_; ++column) {
        if (is_utf8(csv_.cell(row, column))) continue;
        throw Error("a table as UTF-8 text",
                    fmt::format("{}, row {}, cell {} is not UTF-8", name_, csv_.row_number(row),
                                column + 1),
                    "convert the file, for example with: iconv -f latin1 -t utf-8");
      }
    }
  }

  bool is_missing(std::string_view cell) const { return is_missing_cell(cell, options_.missing); }

  bool wants_header() const {
    if (options_.header != CsvHeader::automatic) return options_.header == CsvHeader::yes;
    if (csv_.rows_ < 2) return false;
    std::unordered_set<std::string_view> names;
    bool all_texts = true;
    for (std::size_t column = 0; column < csv_.columns_; ++column) {
      const std::string_view cell = csv_.cell(0, column);
      if (!std::isnan(csv_number(cell))) return false;
      all_texts = all_texts && !is_missing(cell) && names.insert(cell).second;
    }
    bool all_again = true;
    for (std::size_t column = 0; column < csv_.columns_; ++column) {
      if (!is_missing(csv_.cell(0, column)) && is_numeric_below(column)) return true;
      all_again = all_again && occurs_below(column);
    }
    return all_texts && !all_again;
  }

  bool is_numeric_below(std::size_t column) const {
    bool any = false;
    for (std::size_t row = 1; row < csv_.rows_; ++row) {
      const std::string_view cell = csv_.cell(row, column);
      if (is_missing(cell)) continue;
      if (std::isnan(csv_number(cell))) return false;
      any = true;
    }
    return any;
  }

  bool occurs_below(std::size_t column) const {
    for (std::size_t row = 1; row < csv_.rows_; ++row) {
      if (csv_.cell(row, column) == csv_.cell(0, column)) return true;
    }
    return false;
  }

  void take_header() {
    for (std::size_t column = 0; column < csv_.columns_; ++column) {
      csv_.header_.emplace_back(csv_.cell(0, column));
    }
    csv_.first_cell_ = csv_.columns_;
    ++csv_.skipped_rows_;
    --csv_.rows_;
  }

  std::string name_;
  const CsvOptions& options_;
  Csv csv_;
  Place place_ = Place::row_start;
  std::uint64_t bytes_ = 0;
  std::vector<std::uint64_t> row_ends_;  // of the complete cells of the row at hand
  std::size_t cell_begin_ = 0;           // of the cell at hand, in the text
  std::size_t blank_rows_ = 0;  // since the last row: the file's end, or cells of a single column
  bool after_return_ = false;   // the last byte was a carriage return that ended a row
  bool closed_ = false;         // blanks have followed the closing quote
  bool row_quoted_ = false;     // the row at hand has a quoted cell
};

std::string_view Csv::cell(std::size_t row, std::size_t column) const {
  const std::size_t i = first_cell_ + row * columns_ + column;
  const std::uint64_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(text_).substr(begin, ends_[i] - begin);
}

Csv parse_csv(std::string_view text, const std::string& name_for_errors,
              const CsvOptions& options) {
  CsvParser parser(name_for_errors, options);
  parser.feed(text);
  return parser.finish();
}

Csv read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  const File file = File::open_to_read(path);
  const std::uint64_t size = file.size();
  if (size > options.max_bytes) {
    throw Error(fmt::format("a table of at most {} bytes", options.max_bytes),
                fmt::format("{} has {} bytes", path.string(), size),
                "split the file, or save it as .npy");
  }
  CsvParser parser(path.string(), options);
  std::string piece;
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    piece.resize(std::min<std::uint64_t>(piece_bytes, size - offset));
    file.read_exactly(offset, std::as_writable_bytes(std::span(piece)));
    parser.feed(piece);
  }
  return parser.finish();
}

double csv_number(std::string_view text) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinite = std::numeric_limits<double>::infinity();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return none;
  if (same_but_for_case(text, "inf") || same_but_for_case(text, "infinity")) {
    return negative ? -infinite : infinite;
  }
  // from_chars reads "nan" and a second sign, too.
  if (std::isdigit(static_cast<unsigned char>(text[0])) == 0 && text[0] != '.') return none;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return none;
  if (error == std::errc::result_out_of_range) {
    const std::size_t exponent = text.find_first_of("eE");
    const bool small = exponent != std::string_view::npos
                           ? text.substr(exponent + 1).starts_with('-')
                           : text.find_first_not_of("0.") > text.find('.');
    value = small ? 0 : infinite;
  }
  return negative ? -value : value;
}

bool is_missing_cell(std::string_view cell, std::span<const std::string> words) {
  return std::ranges::any_of(words,
                             [&](const auto& word) { return same_but_for_case(cell, word); });
}

namespace {

bool needs_quotes(std::string_view cell, char separator) {
  return !cell.empty() &&
         (is_blank(cell.front()) || is_blank(cell.back()) || cell.starts_with(byte_order_mark) ||
          cell.find_first_of("\"\r\n") != std::string_view::npos ||
          cell.find(separator) != std::string_view::npos);
}

void append_csv_cell(std::string& out, std::string_view cell, bool quoted) {
  if (!quoted) {
    out += cell;
    return;
  }
  out += '"';
  for (const char c : cell) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

void append_csv_row(std::string& out, std::span<const std::string_view> cells, char separator) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out += separator;
    // A row of one empty cell would be a blank line.
    append_csv_cell(out, cells[i],
                    needs_quotes(cells[i], separator) || (cells.size() == 1 && cells[i].empty()));
  }
  out += '\n';
}

void write_csv(const std::filesystem::path& path, std::span<const std::string> header,
               std::size_t rows, std::size_t columns, const CsvCell& cell, char separator) {
  write_file_atomically(path, [&](const ByteSink& sink) {
    std::string out;
    std::vector<std::string> texts(columns);
    std::vector<std::string_view> views(header.begin(), header.end());
    if (!header.empty()) append_csv_row(out, views, separator);
    views.resize(columns);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < columns; ++column) {
        texts[column] = cell(row, column);
        views[column] = texts[column];
      }
      append_csv_row(out, views, separator);
      if (out.size() < piece_bytes) continue;
      sink(as_bytes(out));
      out.clear();
    }
    sink(as_bytes(out));
  });
}

void write_csv(const std::filesystem::path& path, std::span<const std::string> header,
               const std::vector<std::vector<std::string>>& columns, char separator) {
  const std::size_t rows = columns.empty() ? 0 : columns[0].size();
  write_csv(
      path, header, rows, columns.size(),
      [&](std::size_t row, std::size_t column) { return columns[column].at(row); }, separator);
}

}  // namespace calor::io
