// Rows of tables and points beside real ones: the distances of all of them, and of tables the
// columns one by one.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "app/evaluate_distances.h"
#include "app/nll.h"
#include "app/rows_argument.h"
#include "calor/core/error.h"
#include "calor/data/plane.h"
#include "calor/data/training_data.h"
#include "calor/io/ending.h"
#include "calor/io/npy.h"
#include "calor/metric/table_statistics.h"
#include "calor/report/progress.h"
#include "calor/solve/flow_density.h"
#include "calor/solve/generate.h"

namespace calor::app {
namespace {

// Two sets of the same kind: rows in the space of the distances, and, of tables, the tables.
struct Sets {
  at::Tensor made, real;  // float64 [n, d], [m, d]
  std::optional<data::Table> made_table, real_table;
  std::string space, origin, reference, solver;
  std::int64_t nfe = 0;
  std::optional<Nll> nll;  // of the real rows, under a model
  std::string likelihood;  // what it is
  // Of points in a plane of a larger space: the power of the samples off that plane.
  std::optional<double> off_plane_power;
};

constexpr const char* table_space =
    "each column made standard normal by the reference's or the model's encoding";
constexpr const char* plain_space = "as they are";

// What is said of pictures alone.
void check_rows_alone(const EvaluateArguments& a) {
  a.said.refuse({"--classifier", "--plot", "--neighbours", "--held-out", "--reference-count",
                 "--order", "--searched", "--patch", "--batch"},
                "pictures", "samples that are rows");
  a.said.refuse({"--no-cache"}, "features of pictures", "samples that are rows");
  if (!a.no_features()) a.said.refuse({"--features"}, "pictures", "samples that are rows");
}

Nll nll_under(const Globals& globals, const flow::Flow& flow, const Rows& rows) {
  report::ProgressBar bar(rows.rows.size(0), 0, "rows", globals.quiet);
  const auto density = solve::flow_log_density(
      flow, rows.rows, rows.given, {}, [&](std::int64_t done) { bar.update(done, "likelihood"); });
  bar.finish();
  stop_if_asked();
  return nll_of(density.log_density + rows.to_standardised, density.log_density + rows.to_original,
                static_cast<double>(flow.items().numbers()));
}

// The decoded samples, and real rows, of a model of a table.
void add_tables(Sets& sets, const EvaluateArguments& a, const RunModel& model) {
  const auto codecs = data::table_codecs(model.notes, model.file.string());
  sets.space = codecs ? table_space : plain_space;
  if (!codecs) return;
  sets.made_table = codecs->targets.decode(sets.made);
  sets.real_table = a.reference.empty()
                        ? split_table(model, a.split)
                        : data::read_table(a.reference, data_options_of(model).table);
}

// Of a model of points in a plane of a larger space: compares in the plane, and notes what lies off
// it. There is no density in the space.
bool project(Sets& sets, const RunModel& model) {
  if (!model.notes.contains("calor.plane")) return false;
  const data::InPlane made = data::in_plane(sets.made);
  sets.off_plane_power = made.off_plane_power;
  sets.made = made.points;
  sets.real = data::in_plane(sets.real).points;
  sets.space = "projected to the plane of the data";
  return true;
}

// Samples of a model beside held-out rows of its data, or beside a file.
Sets sets_of_model(const Globals& globals, const EvaluateArguments& a, const RunModel& model) {
  const flow::Flow& flow = *model.flow;
  const Rows real = open_rows(model, a.reference, a.split, a.count > 0 ? a.count : 10'000, a.seed);
  const std::int64_t count = a.count > 0 ? a.count : real.rows.size(0);
  flow::Given given{.labels = at::full({count}, flow.items().classes(), at::kLong),
                    .condition = {}};
  if (real.given.condition.defined()) {
    given.condition = real.given.condition.index_select(
        0, at::arange(count, at::kLong).remainder(real.rows.size(0)));
  }
  solve::GenerateOptions options = a.sampling.options(model);
  options.batch = 16'384;
  const auto made = solve::generate(
      flow, solve::start_from(flow, solve::sampling_keys(a.seed, 0, count)), given, options);
  stop_if_asked();
  Sets sets;
  sets.made = made.items.flatten(1).to(at::kDouble);
  sets.real = real.rows.to(at::kDouble);
  sets.nfe = made.nfe;
  sets.solver = solver_text(model, options);
  sets.reference = real.source;
  sets.origin = fmt::format("{} samples of {}", made.items.size(0), a.samples);
  if (project(sets, model)) return sets;
  // A student is a map and has no likelihood.
  if (!flow.options().stages.maps) sets.nll = nll_under(globals, flow, real);
  sets.likelihood = real.note;
  add_tables(sets, a, model);
  return sets;
}

void require_reference(const EvaluateArguments& a) {
  if (!a.reference.empty()) return;
  throw usage_error("--reference DATA for samples in a file", "none was named",
                    "name the real rows, or give a run in place of the samples");
}

// How many of a file's rows are evaluated: the first --count, or all.
std::int64_t count_of(const EvaluateArguments& a, std::int64_t size) {
  if (a.count <= size) return a.count > 0 ? a.count : size;
  throw usage_error(fmt::format("--count of at most the {} samples", size),
                    fmt::format("--count {}", a.count), "lower --count, or leave it out");
}

// Two files of rows; the encoding is fitted on the reference.
Sets sets_of_tables(const EvaluateArguments& a) {
  Sets sets;
  const data::TableOptions options = a.data_options(a.samples).table;
  const data::Table made = data::read_table(a.samples, options);
  std::vector<std::int64_t> first(
      static_cast<std::size_t>(count_of(a, static_cast<std::int64_t>(made.rows()))));
  std::iota(first.begin(), first.end(), std::int64_t{0});
  sets.made_table = made.subset(first);
  sets.real_table = data::read_table(a.reference, options);
  const auto codec = data::TableCodec::fit(*sets.real_table, options);
  sets.made = codec.encode(*sets.made_table, a.key(1)).rows;
  sets.real = codec.encode(*sets.real_table, a.key(2)).rows;
  sets.space = table_space;
  return sets;
}

// UsageError where a number is missing or not finite.
at::Tensor checked(const std::string& file, const at::Tensor& rows) {
  const at::Tensor bad = rows.isfinite().logical_not().nonzero();
  if (bad.size(0) == 0) return rows;
  const auto at = [&](std::int64_t k) { return bad[0][k].item<std::int64_t>() + 1; };
  throw usage_error("finite numbers for --features none",
                    fmt::format("{}: row {}, column {} holds none", file, at(0), at(1)),
                    "leave such rows out; of tables, missing cells are encoded without --features");
}

// The numbers of a file: of .npy as they are, of a table column by column.
at::Tensor numbers_in(const std::string& file) {
  if (io::ending_of(file) == ".npy") {
    const at::Tensor array = io::read_npy(file).to(at::kDouble);
    require_usage(array.dim() > 0, "rows of numbers", file + ": a single number",
                  "give an array of one row for each sample");
    return checked(file, array.dim() == 1 ? array.unsqueeze(1) : array.flatten(1));
  }
  return checked(file, columns_of(data::read_table(file, {}), "--features none",
                                  "leave --features out: columns are then encoded"));
}

Sets sets_of_numbers(const EvaluateArguments& a) {
  Sets sets;
  sets.made = numbers_in(a.samples);
  sets.made = sets.made.narrow(0, 0, count_of(a, sets.made.size(0)));
  sets.real = numbers_in(a.reference);
  require_usage(sets.made.size(1) == sets.real.size(1),
                "samples and a reference with as many numbers in a row",
                fmt::format("{} in {}, {} in {}", sets.made.size(1), a.samples, sets.real.size(1),
                            a.reference),
                "compare files of the same columns");
  sets.space = plain_space;
  return sets;
}

Sets sets_of_files(const EvaluateArguments& a) {
  require_reference(a);
  Sets sets = a.no_features() ? sets_of_numbers(a) : sets_of_tables(a);
  sets.origin = fmt::format("{} samples of {}", sets.made.size(0), a.samples);
  sets.reference = a.reference;
  return sets;
}

// A column as numbers: its own, or the codes of its words in the real table (one more than the last
// for a word that is not there, -1 where it is missing).
at::Tensor numbers_of(const data::TableColumn& column, const data::TableColumn& real) {
  if (column.holds_numbers) return at::tensor(column.numbers, at::kDouble);
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < real.words.size(); ++i) places.emplace(real.words[i], i);
  std::vector<double> of_word;
  for (const std::string& word : column.words) {
    const auto found = places.find(word);
    const std::size_t place = found == places.end() ? real.words.size() : found->second;
    of_word.push_back(static_cast<double>(place));
  }
  std::vector<double> codes;
  codes.reserve(column.codes.size());
  for (const std::int32_t code : column.codes) {
    codes.push_back(code < 0 ? -1.0 : of_word[static_cast<std::size_t>(code)]);
  }
  return at::tensor(codes, at::kDouble);
}

nlohmann::ordered_json column_report(const Globals& globals, const Sets& sets) {
  std::vector<at::Tensor> made;
  std::vector<at::Tensor> real;
  std::vector<bool> categorical;
  std::vector<std::string> names;
  for (const auto& column : sets.made_table->columns) {
    const data::TableColumn* other = sets.real_table->find(column.name);
    if (other == nullptr || other->holds_numbers != column.holds_numbers) continue;
    made.push_back(numbers_of(column, *other));
    real.push_back(numbers_of(*other, *other));
    categorical.push_back(!column.holds_numbers);
    names.push_back(column.name);
  }
  const auto difference =
      metric::table_difference(at::stack(real, 1), at::stack(made, 1), categorical);
  nlohmann::ordered_json columns = nlohmann::json::array();
  for (std::size_t j = 0; j < names.size(); ++j) {
    const auto& d = difference.columns[j];
    const bool numeric = !d.categorical;
    const double main = numeric ? d.numeric.kolmogorov_smirnov : d.total_variation;
    answer(globals, fmt::format("  {:<24} {} {:.4f}", names[j],
                                numeric ? "Kolmogorov-Smirnov" : "total variation   ", main));
    nlohmann::ordered_json entry{{"name", names[j]}, {"categorical", d.categorical}};
    if (numeric) {
      entry["kolmogorov_smirnov"] = json_number(d.numeric.kolmogorov_smirnov);
      entry["wasserstein1"] = json_number(d.numeric.wasserstein1);
      entry["mean_difference"] = json_number(d.numeric.mean);
      entry["deviation_difference"] = json_number(d.numeric.standard_deviation);
      entry["missing_share"] = d.missing_synthetic;
      entry["missing_share_real"] = d.missing_real;
    } else {
      entry["total_variation"] = json_number(d.total_variation);
    }
    columns.push_back(entry);
  }
  return {{"columns", columns},
          {"pearson_difference_max", json_number(difference.pearson.max)},
          {"pearson_difference_mean", json_number(difference.pearson.mean)},
          {"spearman_difference_max", json_number(difference.spearman.max)},
          {"cramers_v_difference_max", json_number(difference.cramers_v.max)}};
}

void check_counts(const Sets& sets) {
  if (std::min(sets.made.size(0), sets.real.size(0)) >= least_rows) return;
  throw usage_error(fmt::format("at least {} rows on each side", least_rows),
                    fmt::format("{} and {}", sets.made.size(0), sets.real.size(0)),
                    "give more rows");
}

nlohmann::ordered_json description(const Sets& sets, const EvaluateArguments& a) {
  return {{"samples", sets.origin},
          {"sample_count", sets.made.size(0)},
          {"reference", sets.reference},
          {"reference_count", sets.real.size(0)},
          {"nfe", sets.nfe},
          {"solver", sets.solver},
          {"seed", a.seed},
          {"space", sets.space},
          {"dimensions", sets.made.size(1)}};
}

void report_nll(const Globals& globals, nlohmann::ordered_json& object, const Sets& sets) {
  add_to(object, *sets.nll);
  object["likelihood"] = sets.likelihood;
  answer(globals, fmt::format("NLL of the real rows: {:.4f} +- {:.4f} nats, standardised units",
                              sets.nll->standardised.mean, sets.nll->standardised.standard_error));
}

}  // namespace

nlohmann::ordered_json evaluate_rows(const Globals& globals, const EvaluateArguments& given,
                                     const RunModel* model) {
  EvaluateArguments a = given;
  check_rows_alone(a);
  if (a.split.empty()) a.split = "test";
  const Sets sets = model != nullptr ? sets_of_model(globals, a, *model) : sets_of_files(a);
  check_counts(sets);
  check_blocks(a, sets.made.size(0));
  answer(globals, fmt::format("{} against {} rows: {}", sets.origin,
                              report::grouped(sets.real.size(0)), sets.reference));
  auto object = description(sets, a);
  if (sets.nll) report_nll(globals, object, sets);
  if (sets.off_plane_power) {
    object["plane"] = {{"off_plane_power", json_number(*sets.off_plane_power)}};
    answer(globals, fmt::format("power off the plane: {:.4g}", *sets.off_plane_power));
  }
  const auto warnings = distance_warnings(sets.made.size(0), sets.real.size(0), sets.made.size(1));
  for (const auto& warning : warnings) say(globals, "warning: " + warning);
  object["warnings"] = warnings;
  object["distances"] = distances(sets.made, sets.real, a);
  object["real_halves"] = distances_of_halves(sets.real, a);
  print_heads(globals, "rows " + sets.space, "real halves");
  print_distances(globals, sets.space, object["distances"], object["real_halves"]);
  if (sets.made_table) object["table"] = column_report(globals, sets);
  return object;
}

}  // namespace calor::app
