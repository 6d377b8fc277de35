// calor evaluate: how near samples of a table or of points are to real rows.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/command.h"
#include "app/nll.h"
#include "app/rows_argument.h"
#include "app/run_argument.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/metric/energy.h"
#include "calor/metric/mmd.h"
#include "calor/metric/samples.h"
#include "calor/metric/table_statistics.h"
#include "calor/metric/two_sample.h"
#include "calor/metric/wasserstein.h"
#include "calor/net/precision.h"
#include "calor/report/progress.h"
#include "calor/solve/flow_density.h"
#include "calor/solve/generate.h"

namespace calor::app {
namespace {

struct EvaluateArguments {
  std::string samples, reference, split = "test";
  std::int64_t count = 0, seed = 0, limit = 1024;
  Machine machine;
};

// Two sets of the same kind: rows in the space of the distances, and, of tables, the tables.
struct Sets {
  at::Tensor made, real;  // float64 [n, d], [m, d]
  std::optional<data::Table> made_table, real_table;
  std::string space, origin, reference;
  std::int64_t nfe = 0;
  std::optional<Nll> nll;  // of the real rows, under a model
  std::string likelihood;  // what it is
};

RandomKey key_of(const EvaluateArguments& a, std::uint64_t use) {
  return random_key(static_cast<std::uint64_t>(a.seed), RandomUse::test).child(use);
}

bool is_model(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ||
         std::filesystem::path(path).extension() == ".safetensors";
}

constexpr const char* table_space =
    "each column made standard normal by the reference's or the model's encoding";

Nll nll_under(const Globals& globals, const flow::Flow& flow, const Rows& rows) {
  report::ProgressBar bar(rows.rows.size(0), 0, "rows", globals.quiet);
  const auto density = solve::flow_log_density(
      flow, rows.rows, rows.given, {}, [&](std::int64_t done) { bar.update(done, "likelihood"); });
  bar.finish();
  if (interrupted()) throw Error("all rows", "stopped by a signal", "start it again");
  return nll_of(density.log_density + rows.to_standardised, density.log_density + rows.to_original,
                static_cast<double>(flow.items().numbers()));
}

// Samples of a model beside held-out rows of its data, or beside a file.
Sets sets_of_model(const Globals& globals, const EvaluateArguments& a, at::Device device) {
  const RunModel model = open_run(a.samples, "1", device);
  const Rows real = open_rows(model, a.reference, a.split, a.count > 0 ? a.count : 10'000, a.seed);
  const std::int64_t count = a.count > 0 ? a.count : real.rows.size(0);
  const flow::Flow& flow = *model.flow;
  flow::Given given{.labels = at::full({count}, flow.items().classes(), at::kLong),
                    .condition = {}};
  if (real.given.condition.defined()) {
    given.condition = real.given.condition.index_select(
        0, at::arange(count, at::kLong).remainder(real.rows.size(0)));
  }
  solve::GenerateOptions options = solve::options_from_notes(model.notes, model.file.string());
  options.batch = 16'384;
  const auto made = solve::generate(
      flow, solve::start_from(flow, solve::sampling_keys(a.seed, 0, count)), given, options);
  Sets sets;
  sets.made = made.items.flatten(1).to(at::kDouble);
  sets.real = real.rows.to(at::kDouble);
  sets.nfe = made.nfe;
  // A student is a map and has no likelihood.
  if (!flow.options().stages.maps) sets.nll = nll_under(globals, flow, real);
  sets.likelihood = real.note;
  sets.reference = real.source;
  sets.origin = fmt::format("{} samples of {}", made.items.size(0), a.samples);
  sets.space = "as they are";
  if (const auto codecs = data::table_codecs(model.notes, model.file.string())) {
    sets.space = table_space;
    sets.made_table = codecs->targets.decode(sets.made);
    sets.real_table = a.reference.empty()
                          ? split_table(model, a.split)
                          : data::read_table(a.reference, data_options_of(model).table);
  }
  return sets;
}

// Two files of rows; the encoding is fitted on the reference.
Sets sets_of_files(const EvaluateArguments& a) {
  if (a.reference.empty()) {
    throw usage_error("--reference DATA for samples in a file", "none was named",
                      "name the real rows, or give a run in place of the samples");
  }
  Sets sets;
  sets.made_table = data::read_table(a.samples, {});
  sets.real_table = data::read_table(a.reference, {});
  const auto codec = data::TableCodec::fit(*sets.real_table, {});
  sets.made = codec.encode(*sets.made_table, key_of(a, 1)).rows;
  sets.real = codec.encode(*sets.real_table, key_of(a, 2)).rows;
  sets.space = table_space;
  sets.origin = a.samples;
  sets.reference = a.reference;
  return sets;
}

// The distances between two sets of rows.
nlohmann::ordered_json distances(const at::Tensor& made, const at::Tensor& real,
                                 const EvaluateArguments& a) {
  constexpr std::int64_t most = 5000;  // for what takes all pairs
  const at::Tensor some_made = metric::random_rows(made, most, key_of(a, 3));
  const at::Tensor some_real = metric::random_rows(real, most, key_of(a, 4));
  const auto sliced = metric::sliced_wasserstein(made, real, 2, key_of(a, 5));
  const auto exact = metric::exact_wasserstein(made, real, 2, key_of(a, 6), a.limit);
  const double bandwidth = metric::median_distance(some_made, some_real, key_of(a, 7));
  const auto test = metric::classifier_two_sample_test(made, real, metric::TwoSampleClassifier::mlp,
                                                       key_of(a, 8));
  return {{"sliced_wasserstein2", json_number(sliced.distance)},
          {"wasserstein2", json_number(exact.distance)},
          {"wasserstein2_count", exact.count},
          {"energy_distance", json_number(metric::energy_distance(some_made, some_real).u)},
          {"mmd2_gaussian", json_number(metric::mmd2_gaussian(some_made, some_real, bandwidth))},
          {"pairwise_count", std::min(some_made.size(0), some_real.size(0))},
          {"two_sample_accuracy", json_number(test.accuracy)},
          {"two_sample_standard_error", json_number(test.standard_error)},
          {"two_sample_tested", test.tested}};
}

// The same between two halves of the real rows: what no model can be expected to fall below.
nlohmann::ordered_json floor_of(const at::Tensor& real, const EvaluateArguments& a) {
  const at::Tensor mixed = metric::random_rows(real, real.size(0), key_of(a, 9));
  const std::int64_t half = mixed.size(0) / 2;
  return distances(mixed.narrow(0, 0, half), mixed.narrow(0, half, half), a);
}

// A column as numbers: its own, or the codes of its words in the real table.
at::Tensor numbers_of(const data::TableColumn& column, const data::TableColumn& real) {
  if (column.holds_numbers) return at::tensor(column.numbers, at::kDouble);
  std::vector<double> codes;
  for (const std::int32_t code : column.codes) {
    const auto word =
        code < 0 ? real.words.end()
                 : std::ranges::find(real.words, column.words[static_cast<std::size_t>(code)]);
    codes.push_back(code < 0 ? -1.0 : static_cast<double>(word - real.words.begin()));
  }
  return at::tensor(codes, at::kDouble);
}

// Rows whose numbers are all there.
at::Tensor complete_rows(const at::Tensor& rows) { return rows.index({at::isfinite(rows).all(1)}); }

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
  const auto difference = metric::table_difference(complete_rows(at::stack(real, 1)),
                                                   complete_rows(at::stack(made, 1)), categorical);
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

void print_distances(const Globals& globals, const nlohmann::ordered_json& model,
                     const nlohmann::ordered_json& floor) {
  answer(globals, fmt::format("{:<44} {:>10} {:>14}", "", "samples", "real halves"));
  const auto line = [&](const char* text, const char* key) {
    const auto value = [&](const nlohmann::ordered_json& from) {
      return from[key].is_number() ? fmt::format("{:.4f}", from[key].get<double>())
                                   : std::string("-");
    };
    answer(globals, fmt::format("{:<44} {:>10} {:>14}", text, value(model), value(floor)));
  };
  line("sliced Wasserstein-2", "sliced_wasserstein2");
  line("exact Wasserstein-2", "wasserstein2");
  line("energy distance", "energy_distance");
  line("MMD^2, Gaussian kernel", "mmd2_gaussian");
  line("classifier two-sample accuracy (1/2: equal)", "two_sample_accuracy");
}

nlohmann::ordered_json run_evaluate(const Globals& globals, const EvaluateArguments& a) {
  const at::Device device = a.machine.apply();
  net::use(net::resolve(net::Products::automatic));
  const InterruptGuard guard;
  const Sets sets = is_model(a.samples) ? sets_of_model(globals, a, device) : sets_of_files(a);
  if (sets.made.size(0) < 8 || sets.real.size(0) < 8) {
    throw usage_error("at least 8 rows on each side",
                      fmt::format("{} and {}", sets.made.size(0), sets.real.size(0)),
                      "give more rows");
  }
  answer(globals, fmt::format("{} against {} rows: {}", sets.origin,
                              report::grouped(sets.real.size(0)), sets.reference));
  nlohmann::ordered_json object{{"samples", sets.origin},
                                {"sample_count", sets.made.size(0)},
                                {"reference", sets.reference},
                                {"reference_count", sets.real.size(0)},
                                {"nfe", sets.nfe},
                                {"seed", a.seed},
                                {"space", sets.space}};
  if (sets.nll) {
    add_to(object, *sets.nll);
    object["likelihood"] = sets.likelihood;
    answer(globals,
           fmt::format("NLL of the real rows: {:.4f} +- {:.4f} nats, standardised units",
                       sets.nll->standardised.mean, sets.nll->standardised.standard_error));
  }
  object["distances"] = distances(sets.made, sets.real, a);
  object["real_halves"] = floor_of(sets.real, a);
  print_distances(globals, object["distances"], object["real_halves"]);
  if (sets.made_table) object["table"] = column_report(globals, sets);
  return object;
}

}  // namespace

void add_evaluate(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<EvaluateArguments>();
  EvaluateArguments& a = *arguments;
  CLI::App& command =
      add_command(program, globals, "evaluate", "How near samples of rows are to real rows.",
                  "  calor evaluate runs/houses --split test\n"
                  "  calor evaluate runs/houses --reference new-houses.csv --count 5000 --json\n"
                  "  calor evaluate samples.csv --reference houses.csv");
  command.add_option("samples", a.samples, "run, model.safetensors, or a file of samples")
      ->required();
  command.add_option("--reference", a.reference,
                     "real rows (default: held-out rows of the model's own data)");
  command.add_option("--split", a.split, "without --reference: test, validation or train")
      ->check(CLI::IsMember({"test", "validation", "train"}))
      ->capture_default_str();
  command.add_option("--count", a.count, "samples drawn (default: as many as real rows)")
      ->check(CLI::Range(std::int64_t{8}, std::int64_t{10'000'000}));
  command.add_option("--assignment", a.limit, "rows of the exact Wasserstein distance")
      ->check(CLI::Range(8, 4096))
      ->capture_default_str();
  command.add_option("--seed", a.seed, "of samples, dequantisation and subsets")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  a.machine.add_to(command);
  set_work(command, globals, [&globals, arguments] { return run_evaluate(globals, *arguments); });
}

}  // namespace calor::app
