#include "calor/data/table_codec_parts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::data {
namespace {

using nlohmann::json;

constexpr int format_version = 1;

// Names that are distinct, and those of the columns all in the schema.
bool are_names_valid(const CodecParts& parts) {
  const std::set<std::string> all(parts.schema.names.begin(), parts.schema.names.end());
  const std::set<std::string> encoded(parts.names.begin(), parts.names.end());
  return all.size() == parts.schema.names.size() && encoded.size() == parts.names.size() &&
         std::ranges::includes(all, encoded);
}

}  // namespace

CodecParts fit_codec_parts(const Table& train, const TableOptions& options,
                           const std::vector<std::string>& names, bool are_targets) {
  if (train.rows() < 2) {
    throw Error(
        "a table of at least two rows to train on",
        fmt::format("{}: {} row{}", train.source, train.rows(), train.rows() == 1 ? "" : "s"),
        "use a table with more rows");
  }
  CodecParts parts{.schema = schema_of(train), .names = names, .columns = {}};
  for (const std::string& name : names) {
    const TableColumn* column = train.find(name);
    if (column == nullptr || column->type == ColumnType::ignore) {
      throw Error(fmt::format("columns of {} that are not ignored", train.source),
                  io::printable(name),
                  fmt::format("there are: {}", fmt::join(train.names(), ", ")));
    }
    parts.columns.push_back(fit_column(train, *column, options, are_targets));
  }
  return parts;
}

std::string to_json(const CodecParts& parts, const char* kind) {
  json columns = json::array();
  for (const ColumnCode& column : parts.columns) columns.push_back(to_json(column));
  return json{{"kind", kind},
              {"format", format_version},
              {"table_columns", parts.schema.names},
              {"has_header", parts.schema.has_header},
              {"columns", columns}}
      // Only a person's own setting can hold other bytes than UTF-8: they become question marks.
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

CodecParts codec_parts_from_json(const std::string& text, const char* kind,
                                 const std::string& file) {
  std::string what = "names that come twice, or a codec of another kind or format";
  try {
    const json in = json::parse(text);
    CodecParts parts;
    in.at("table_columns").get_to(parts.schema.names);
    in.at("has_header").get_to(parts.schema.has_header);
    for (const json& column : in.at("columns")) {
      parts.columns.push_back(column_code_from_json(column, file));
      parts.names.push_back(parts.columns.back().name);
    }
    const bool is_kind = in.at("kind") == kind && in.at("format") == format_version;
    if (is_kind && are_names_valid(parts)) return parts;
  } catch (const json::exception& error) {
    what = io::printable(error.what());
  }
  throw Error(fmt::format("the description of a table ({}) as a model file holds it", kind),
              fmt::format("{}: {}", file, what), "the file is damaged: take another copy");
}

}  // namespace calor::data
