#include "calor/data/table_codec.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/table_codec_parts.h"

namespace calor::data {

struct TableCodec::Parts : CodecParts {
  std::int64_t width = 0;

  explicit Parts(CodecParts parts) : CodecParts(std::move(parts)) {
    for (const ColumnCode& column : columns) width += column.missing ? 2 : 1;
  }
};

namespace {

constexpr const char* kind = "table codec";
constexpr std::size_t present = 0;
constexpr std::size_t missing = 1;
constexpr double worth_a_note = 0.01;  // share of rows with one value

double standard_normal(double u) { return normal_score({.below = u, .above = 1 - u}); }

// One column of the encoded rows and what it adds to the corrections.
struct Cell {
  double z = 0;
  double correction = 0;
  double to_standardised = 0;  // beyond the correction
};

Cell encode_cell(const ColumnCode& code, const ColumnReader& reader, std::size_t row, double u) {
  if (code.number) {
    const auto [z, log_slope] =
        code.number->forward(code.number->dequantise(reader.number(row), u));
    return {.z = z, .correction = log_slope, .to_standardised = std::log(code.number->deviation)};
  }
  const auto [z, correction] = code.category->map.forward(reader.category(row), u);
  return {.z = z, .correction = correction};
}

// Where the numbers of encoded rows go.
struct Sink {
  double* rows;
  double* to_standardised;
  double* to_original;
  std::size_t width;
};

void encode_column(const Table& table, const TableColumn& column, const ColumnCode& code,
                   RandomKey key, std::size_t dimension, const Sink& sink) {
  const ColumnReader reader(table, column, code);
  for (std::size_t row = 0; row < table.rows(); ++row) {
    std::array<double, 2> u{};
    fill_uniform(key.child(static_cast<std::uint64_t>(table.row_numbers[row])), u);
    const bool is_missing = reader.is_missing(row);
    Cell cell;
    if (is_missing) {
      cell.z = standard_normal(u[0]);
      cell.correction = -log_normal_density(cell.z);
    } else {
      cell = encode_cell(code, reader, row, u[0]);
    }
    double* out = sink.rows + row * sink.width + dimension;
    out[0] = cell.z;
    if (code.missing) {
      const auto flag = code.missing->forward(is_missing ? missing : present, u[1]);
      out[1] = flag.z;
      cell.correction += flag.correction;
    }
    sink.to_original[row] += cell.correction;
    sink.to_standardised[row] += cell.correction + cell.to_standardised;
  }
}

// A column like that of training, for `rows` cells to come.
TableColumn empty_column(const ColumnCode& code, std::size_t rows) {
  TableColumn column;
  column.name = code.name;
  column.type = code.type;
  column.missing_word = code.missing_word;
  column.holds_numbers = code.number.has_value();
  if (code.number) {
    column.grid = code.number->grid;
    column.format = code.number->format;
    column.numbers.resize(rows);
  } else {
    column.words = code.category->words;
    column.codes.resize(rows);
  }
  return column;
}

void decode_cell(const ColumnCode& code, const double* in, std::size_t row, TableColumn& column) {
  const bool is_missing = code.missing && code.missing->inverse(in[1]) == missing;
  if (code.category) {
    column.codes[row] =
        is_missing ? -1 : static_cast<std::int32_t>(code.category->map.inverse(in[0]));
    return;
  }
  double value = code.number->grid.nearest(code.number->inverse(in[0]));
  if (code.type == ColumnType::integer && !code.number->grid) value = std::round(value);
  column.numbers[row] = is_missing ? std::nan("") : value;
}

void check_rows(const at::Tensor& rows, std::int64_t width) {
  if (rows.dim() != 2 || rows.size(1) != width || !at::isFloatingType(rows.scalar_type())) {
    throw Error(
        fmt::format("encoded rows [n, {}] of floating-point numbers", width),
        fmt::format("{} [{}]", c10::toString(rows.scalar_type()), fmt::join(rows.sizes(), ", ")),
        "decode rows of the model that this codec belongs to");
  }
  const at::Tensor bad = rows.isfinite().logical_not().any(1).nonzero();
  if (bad.numel() > 0) {
    throw Error("encoded rows of finite numbers",
                fmt::format("{} of {} rows are not, the first is row {}", bad.size(0), rows.size(0),
                            bad[0].item<std::int64_t>()),
                "the model or its solver diverged: take smaller steps, or an earlier model");
  }
}

}  // namespace

TableCodec TableCodec::fit(const Table& train, const TableOptions& options,
                           const std::vector<std::string>& columns) {
  return TableCodec(std::make_shared<Parts>(
      fit_codec_parts(train, options, columns.empty() ? target_columns(train, options) : columns,
                      /*are_targets=*/true)));
}

Encoded TableCodec::encode(const Table& table, RandomKey key) const {
  const auto columns = parts_->schema.match(table, parts_->names);
  const auto n = static_cast<std::int64_t>(table.rows());
  Encoded out{.rows = at::empty({n, width()}, at::kDouble),
              .to_standardised = at::zeros({n}, at::kDouble),
              .to_original = at::zeros({n}, at::kDouble)};
  const Sink sink{.rows = out.rows.data_ptr<double>(),
                  .to_standardised = out.to_standardised.data_ptr<double>(),
                  .to_original = out.to_original.data_ptr<double>(),
                  .width = static_cast<std::size_t>(width())};
  std::size_t dimension = 0;
  for (std::size_t j = 0; j < columns.size(); ++j) {
    const ColumnCode& code = parts_->columns[j];
    encode_column(table, *columns[j], code, key.child(j), dimension, sink);
    dimension += code.missing ? 2 : 1;
  }
  return out;
}

Table TableCodec::decode(const at::Tensor& rows) const {
  check_rows(rows, width());
  const at::Tensor plain = rows.to(at::kCPU, at::kDouble).contiguous();
  const auto n = static_cast<std::size_t>(plain.size(0));
  const double* in = plain.data_ptr<double>();
  Table table;
  table.source = "decoded rows";
  table.has_header = parts_->schema.has_header;
  for (std::size_t row = 0; row < n; ++row) {
    table.row_numbers.push_back(static_cast<std::int64_t>(row) + 1);
  }
  for (const ColumnCode& code : parts_->columns) {
    TableColumn column = empty_column(code, n);
    for (std::size_t row = 0; row < n; ++row) {
      decode_cell(code, in + row * static_cast<std::size_t>(width()), row, column);
    }
    in += code.missing ? 2 : 1;
    table.columns.push_back(std::move(column));
  }
  return table;
}

std::int64_t TableCodec::width() const { return parts_->width; }

const std::vector<std::string>& TableCodec::column_names() const { return parts_->names; }

std::string TableCodec::describe() const {
  std::string text;
  std::int64_t dimension = 0;
  for (const ColumnCode& code : parts_->columns) {
    text += fmt::format("{}{} {}\n", data::describe(code),
                        code.missing ? ", dimensions" : ", dimension",
                        code.missing ? fmt::format("{} and {}", dimension, dimension + 1)
                                     : fmt::to_string(dimension));
    dimension += code.missing ? 2 : 1;
  }
  return text;
}

bool TableCodec::is_bound() const {
  for (const ColumnCode& code : parts_->columns) {
    if (code.category || code.missing || code.number->dequantised) return true;
  }
  return false;
}

std::string TableCodec::likelihood_note() const {
  std::vector<std::string> dequantised, categories, with_missing, exact, piles;
  for (const ColumnCode& code : parts_->columns) {
    if (code.category) {
      categories.push_back(code.name);
    } else {
      (code.number->dequantised ? dequantised : exact).push_back(code.name);
      if (code.number->repeated_share > worth_a_note) piles.push_back(code.name);
    }
    if (code.missing) with_missing.push_back(code.name);
  }
  std::vector<std::string> clauses;
  const auto add = [&](const char* form, const std::vector<std::string>& names) {
    if (!names.empty()) {
      clauses.push_back(fmt::format(fmt::runtime(form), fmt::join(names, ", ")));
    }
  };
  add("exact density of {}", exact);
  add("density of the dequantised columns {} (with the log of their steps added, a lower bound on "
      "the log-probability of their values)",
      dequantised);
  add("lower bound on the log-probability of the categories of {}", categories);
  add("a bound, too, for which cells of {} are missing", with_missing);
  add("of little meaning for {}, where one value repeats and a density has no bound (give the "
      "column a quantum)",
      piles);
  return fmt::format("{}.", fmt::join(clauses, "; "));
}

std::string TableCodec::to_json() const { return data::to_json(*parts_, kind); }

TableCodec TableCodec::from_json(const std::string& json, const std::string& file) {
  CodecParts parts = codec_parts_from_json(json, kind, file);
  if (parts.columns.empty()) {
    throw Error("the description of a table as a model file holds it",
                file + ": a table without columns", "the file is damaged: take another copy");
  }
  return TableCodec(std::make_shared<Parts>(std::move(parts)));
}

}  // namespace calor::data
