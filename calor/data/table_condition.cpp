#include "calor/data/table_condition.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "calor/data/table_codec_parts.h"

namespace calor::data {
namespace {

constexpr const char* kind = "table conditions";

std::size_t places(const ColumnCode& code) {
  return (code.number ? 1 : code.category->words.size()) + (code.missing ? 1 : 0);
}

void encode_cell(const ColumnCode& code, const ColumnReader& reader, std::size_t row, double* out) {
  if (reader.is_missing(row)) {
    out[places(code) - 1] = 1;
  } else if (code.number) {
    out[0] = code.number->forward(reader.number(row)).z;
  } else {
    out[reader.category(row)] = 1;
  }
}

}  // namespace

struct ConditionCodec::Parts : CodecParts {
  std::size_t width = 0;

  explicit Parts(CodecParts parts) : CodecParts(std::move(parts)) {
    for (const ColumnCode& column : columns) width += places(column);
  }
};

ConditionCodec ConditionCodec::fit(const Table& train, const TableOptions& options,
                                   const std::vector<std::string>& columns) {
  return ConditionCodec(std::make_shared<Parts>(
      fit_codec_parts(train, options, columns.empty() ? condition_columns(train, options) : columns,
                      /*are_targets=*/false)));
}

at::Tensor ConditionCodec::encode(const Table& table) const {
  const auto columns = parts_->schema.match(table, parts_->names);
  at::Tensor out = at::zeros({static_cast<std::int64_t>(table.rows()), width()}, at::kDouble);
  double* first = out.data_ptr<double>();
  for (std::size_t j = 0; j < columns.size(); ++j) {
    const ColumnCode& code = parts_->columns[j];
    const ColumnReader reader(table, *columns[j], code);
    for (std::size_t row = 0; row < table.rows(); ++row) {
      encode_cell(code, reader, row, first + row * parts_->width);
    }
    first += places(code);
  }
  return out;
}

std::int64_t ConditionCodec::width() const { return static_cast<std::int64_t>(parts_->width); }

const std::vector<std::string>& ConditionCodec::column_names() const { return parts_->names; }

std::string ConditionCodec::describe() const {
  std::string text;
  for (const ColumnCode& code : parts_->columns) text += data::describe(code) + "\n";
  return text;
}

std::string ConditionCodec::to_json() const { return data::to_json(*parts_, kind); }

ConditionCodec ConditionCodec::from_json(const std::string& json, const std::string& file) {
  return ConditionCodec(std::make_shared<Parts>(codec_parts_from_json(json, kind, file)));
}

}  // namespace calor::data
