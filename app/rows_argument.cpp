#include "app/rows_argument.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <numeric>

#include "app/labels.h"
#include "calor/core/error.h"
#include "calor/io/ending.h"
#include "calor/io/npy.h"
#include "calor/train/run_config.h"

namespace calor::app {
namespace {

constexpr std::uint64_t fresh = 1;  // points that no training has drawn

Rows plain_rows(const RunModel& model, const at::Tensor& points, std::string source) {
  const std::int64_t numbers = model.flow->items().numbers();
  if (points.dim() != 2 || points.size(1) != numbers || points.size(0) == 0) {
    throw Error(fmt::format("points [N, {}]", numbers),
                fmt::format("{}: rank {}, {} numbers", source, points.dim(), points.numel()),
                "give as many columns as the model has");
  }
  if (!at::isfinite(points).all().item<bool>()) {
    throw Error("finite points", source + ": NaN or infinity", "remove those rows");
  }
  const std::int64_t n = points.size(0);
  Rows rows;
  rows.rows = points.to(at::kFloat).contiguous();
  rows.given = {.labels = at::full({n}, model.flow->items().classes(), at::kLong), .condition = {}};
  rows.to_standardised = at::zeros({n}, at::kDouble);
  rows.to_original = at::zeros({n}, at::kDouble);
  rows.row_numbers.resize(static_cast<std::size_t>(n));
  std::iota(rows.row_numbers.begin(), rows.row_numbers.end(), std::int64_t{1});
  rows.source = std::move(source);
  rows.note = "exact density of the points";
  return rows;
}

Rows fresh_points(const RunModel& model, std::int64_t count) {
  const data::DataOptions options = data_options_of(model);
  const RandomKey key =
      random_key(static_cast<std::uint64_t>(options.seed), RandomUse::points).child(fresh);
  const at::Tensor points = data::draw_source_points(options, count, key).points;
  return plain_rows(model, points, fmt::format("{} fresh points of {}", count, options.source));
}

RandomKey dequantisation_key(std::int64_t seed, std::int64_t draw) {
  const auto number = static_cast<std::uint64_t>(seed);
  if (draw == 0) return random_key(number, RandomUse::dequantisation);
  return random_key(number, RandomUse::later_dequantisation)
      .child(static_cast<std::uint64_t>(draw));
}

Rows table_rows(const RunModel& model, const data::Table& table, RandomKey key) {
  const auto codecs = data::table_codecs(model.notes, model.file.string());
  const auto encoded = codecs->targets.encode(table, key);
  Rows rows;
  rows.rows = encoded.rows.to(at::kFloat).contiguous();
  const std::int64_t n = rows.rows.size(0);
  rows.given.labels = at::full({n}, model.flow->items().classes(), at::kLong);
  if (codecs->condition) {
    rows.given.condition = codecs->condition->encode(table).to(at::kFloat);
  }
  rows.to_standardised = encoded.to_standardised;
  rows.to_original = encoded.to_original;
  rows.row_numbers = table.row_numbers;
  rows.source = table.source;
  rows.note = codecs->targets.likelihood_note();
  return rows;
}

}  // namespace

at::Tensor columns_of(const data::Table& table, const std::string& wanted_by,
                      const std::string& hint) {
  std::vector<at::Tensor> columns;
  for (const auto& column : table.columns) {
    require_usage(column.holds_numbers, "columns of numbers for " + wanted_by,
                  fmt::format("{}: column {} holds texts", table.source, column.name), hint);
    columns.push_back(at::tensor(column.numbers, at::kDouble));
  }
  return at::stack(columns, 1);
}

data::DataOptions data_options_of(const RunModel& model) {
  const auto note = model.notes.find("calor.training");
  if (note == model.notes.end()) {
    throw usage_error("a model that knows its data", model.file.string() + ": no such note",
                      "name the data on the command line");
  }
  return train::parse_config(note->second, model.file.string() + " (metadata)", {}).data;
}

data::Table split_table(const RunModel& model, const std::string& split) {
  const data::TableSplit parts = data::open_table_split(data_options_of(model));
  const data::Table& part = split == "test"         ? parts.test
                            : split == "validation" ? parts.validation
                                                    : parts.train;
  if (part.rows() > 0) return part;
  throw usage_error(fmt::format("rows in the {} part of the data", split), "none were held out",
                    "train with data.test=0.1, take --split validation, or name a file");
}

Rows open_rows(const RunModel& model, const std::string& file, const std::string& split,
               std::int64_t count, std::int64_t seed, std::int64_t draw) {
  if (model.flow->items().kind == data::ItemKind::pictures) {
    throw usage_error("a model of points or of a table", "a model of pictures",
                      "this command does not read pictures");
  }
  const bool is_table = model.notes.contains("calor.table");
  const RandomKey key = dequantisation_key(seed, draw);
  if (file.empty()) {
    if (!is_table) return fresh_points(model, count);
    Rows rows = table_rows(model, split_table(model, split), key);
    rows.source += fmt::format(" ({} rows)", split);
    return rows;
  }
  if (is_table) {
    const data::DataOptions trained = data_options_of(model);
    return table_rows(model, data::read_table(file, trained.table), key);
  }
  if (io::ending_of(file) == ".npy") {
    return plain_rows(model, io::read_npy(file), file);
  }
  const at::Tensor points = columns_of(data::read_table(file, {}), "a model of points",
                                       "give a .npy array [N, 2] or a CSV file of two columns");
  return plain_rows(model, points, file);
}

}  // namespace calor::app
