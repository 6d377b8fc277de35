// What a person may say about a table: how its file is read, what its columns are, and how they are
// encoded for a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/table_grid.h"
#include "calor/io/csv.h"

namespace calor::data {

enum class ColumnType { numeric, integer, categorical, ordinal, ignore };
const char* to_text(ColumnType type);

enum class NumberEncoding { quantile, standardise };

struct TableOptions {
  std::string columns;  // "age:integer, fnlwgt:ignore"
  io::CsvHeader header = io::CsvHeader::automatic;
  char separator = 0;                  // 0: automatic
  std::string missing = "?, NA, nan";  // besides empty cells
  NumberEncoding encoding = NumberEncoding::quantile;
  std::int64_t knots = 64;
  bool dequantise = true;
  std::string condition;  // "colA, colB"

  // data.columns, data.header, data.separator, data.missing, data.encoding, data.knots,
  // data.dequantise and data.condition.
  void declare(config::Options& options);

  // The cells that stand for a missing one, the empty cell among them.
  std::vector<std::string> missing_words() const;
};

// What data.columns says of one column.
struct ColumnDeclaration {
  std::string name;
  ColumnType type = ColumnType::numeric;
  std::optional<DecimalStep> step;  // quantum=...
  std::vector<std::string> order;   // of an ordinal's categories; empty: numeric order
};

// "NAME:TYPE, NAME:TYPE(...), ..." with TYPE numeric, numeric(quantum=0.01), integer,
// integer(quantum=5), categorical, ordinal, ordinal(small<medium<large) or ignore. A name or
// category that holds one of , : ( ) < " stands in quotation marks, doubled inside. Usage error
// where it is anything else, or a column comes twice.
std::vector<ColumnDeclaration> parse_declarations(std::string_view text);

// "a, b" or, where a name holds a comma, in quotation marks. Usage error (naming `key`) where a
// name comes twice.
std::vector<std::string> parse_names(std::string_view text, const char* key);

}  // namespace calor::data
