// What the codecs of a table's targets and of its conditions have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "calor/data/table_column_code.h"
#include "calor/data/table_schema.h"

namespace calor::data {

struct CodecParts {
  TableSchema schema;
  std::vector<std::string> names;  // of the columns that are encoded
  std::vector<ColumnCode> columns;
};

// Error on a single row, on names that the table lacks, and as fit_column().
CodecParts fit_codec_parts(const Table& train, const TableOptions& options,
                           const std::vector<std::string>& names, bool are_targets);

// `kind` tells the JSON of one codec from that of another.
std::string to_json(const CodecParts& parts, const char* kind);
CodecParts codec_parts_from_json(const std::string& json, const char* kind,
                                 const std::string& file);

}  // namespace calor::data
