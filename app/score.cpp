// calor score: the log-density of each row, and what it says of the model in nats and bits; of a
// model of pictures see score_pictures.h.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/command.h"
#include "app/nll.h"
#include "app/rows_argument.h"
#include "app/run_argument.h"
#include "app/score_arguments.h"
#include "app/score_pictures.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/csv.h"
#include "calor/report/progress.h"
#include "calor/solve/flow_density.h"
#include "calor/solve/picture_likelihood.h"
#include "calor/solve/stage_field.h"

namespace calor::app {
namespace {

// Log-densities of the rows, averaged over draws of the dequantisation.
struct Scores {
  Rows rows;  // of the first draw
  at::Tensor standardised, original, probe_error;
  double nfe = 0;
};

Scores compute(const Globals& globals, const ScoreArguments& a, const RunModel& model) {
  Scores scores;
  auto options = a.density();
  std::unique_ptr<report::ProgressBar> bar;
  for (std::int64_t draw = 0; draw < a.draws; ++draw) {
    Rows rows = open_rows(model, a.data, a.split, a.count, a.seed, draw);
    const std::int64_t n = rows.rows.size(0);
    options.first_row = draw * n;  // each row and draw has probes of its own
    if (!bar) bar = std::make_unique<report::ProgressBar>(n * a.draws, 0, "rows", globals.quiet);
    const auto density =
        solve::flow_log_density(*model.flow, rows.rows, rows.given, options,
                                [&](std::int64_t done) { bar->update(draw * n + done, ""); });
    if (!density.log_density.defined() || density.log_density.size(0) < n) {
      throw stopped_error("the density of every row");
    }
    const double share = 1.0 / static_cast<double>(a.draws);
    const auto add = [&](at::Tensor& sum, const at::Tensor& value) {
      sum = sum.defined() ? sum + share * value : share * value;
    };
    add(scores.standardised, density.log_density + rows.to_standardised);
    add(scores.original, density.log_density + rows.to_original);
    add(scores.probe_error, density.standard_error.square() * share);
    scores.nfe += share * density.nfe;
    if (draw == 0) scores.rows = std::move(rows);
  }
  scores.probe_error = scores.probe_error.sqrt();
  bar->finish();
  return scores;
}

void write_rows(const std::string& file, const Scores& scores,
                const std::vector<std::size_t>& order) {
  const double* standardised = scores.standardised.const_data_ptr<double>();
  const double* original = scores.original.const_data_ptr<double>();
  const double* error = scores.probe_error.const_data_ptr<double>();
  const auto rank = ranks_in(order);
  const std::vector<std::string> header{"row", "log_density_standardised", "log_density",
                                        "standard_error", "rank"};
  io::write_csv(file, header, order.size(), header.size(),
                [&](std::size_t row, std::size_t column) {
                  switch (column) {
                    case 0:
                      return std::to_string(scores.rows.row_numbers[row]);
                    case 1:
                      return fmt::format("{}", standardised[row]);
                    case 2:
                      return fmt::format("{}", original[row]);
                    case 3:
                      return error_cell(error[row]);
                    default:
                      return std::to_string(rank[row]);
                  }
                });
}

// Of up to 1000 rows.
double inversion_error_of(const ScoreArguments& a, const flow::Flow& flow, const Rows& rows) {
  const std::int64_t n = std::min<std::int64_t>(1000, rows.rows.size(0));
  return inversion_error(flow, rows.rows.narrow(0, 0, n), rows.given.narrow(0, n), a.density());
}

nlohmann::ordered_json rank_rows(const Globals& globals, const ScoreArguments& a,
                                 const Scores& scores, const std::vector<std::size_t>& order) {
  nlohmann::ordered_json list = nlohmann::json::array();
  const auto shown = std::min(order.size(), static_cast<std::size_t>(a.rank));
  for (std::size_t k = 0; k < shown; ++k) {
    const double value = scores.standardised[static_cast<std::int64_t>(order[k])].item<double>();
    answer(globals, fmt::format("{:>5}  row {:>8}  log-density {:.3f}", k + 1,
                                scores.rows.row_numbers[order[k]], value));
    list.push_back({{"row", scores.rows.row_numbers[order[k]]},
                    {"log_density_standardised", json_number(value)}});
  }
  return list;
}

nlohmann::ordered_json score_rows(const Globals& globals, const ScoreArguments& a,
                                  const RunModel& model) {
  const Scores scores = compute(globals, a, model);
  const Nll nll = nll_of(scores.standardised, scores.original,
                         static_cast<double>(model.flow->items().numbers()));
  const std::int64_t n = scores.standardised.size(0);
  answer(globals, fmt::format("{} rows: {}", report::grouped(n), scores.rows.source));
  answer(globals, fmt::format("NLL  {:.4f} +- {:.4f} nats a row, standardised units",
                              nll.standardised.mean, nll.standardised.standard_error));
  answer(globals, fmt::format("     {:.4f} +- {:.4f} nats a row, original units; {:.4f} bits a "
                              "dimension",
                              nll.original.mean, nll.original.standard_error, nll.bits.mean));
  answer(globals, fmt::format("     {}", scores.rows.note));
  answer(globals, fmt::format("{} divergence, {}, {}; {:.0f} evaluations a row", a.divergence,
                              a.solver_text(), precision_name(*model.flow), scores.nfe));
  const auto order = by_density(scores.standardised);
  const auto ranked = rank_rows(globals, a, scores, order);
  if (!a.out.empty()) write_rows(a.out, scores, order);
  nlohmann::ordered_json object{{"count", n}, {"data", scores.rows.source}};
  add_to(object, nll);
  const double probe_error =
      (scores.probe_error.square().sum().sqrt() / static_cast<double>(n)).item<double>();
  object["probe_standard_error"] = json_number(probe_error);
  object["likelihood"] = scores.rows.note;
  a.describe(*model.flow, object);
  object["t_eps"] = solve::likelihood_t_eps(*model.flow, a.t_eps);
  object["nfe"] = scores.nfe;
  object["out"] = a.out;
  object["most_unusual"] = ranked;
  if (a.invert) {
    const double error = inversion_error_of(a, *model.flow, scores.rows);
    answer(globals, fmt::format("to noise and back: largest error of a coordinate {:.2g}", error));
    object["inversion_error"] = json_number(error);
  }
  return object;
}

nlohmann::ordered_json run_score(const Globals& globals, ScoreArguments a) {
  const at::Device device = a.machine.apply();
  check_place("--out", a.out, {".csv"});
  check_apart("--out", a.out, {a.data});
  const RunModel model = open_run(a.run, "1", device);
  require_no_policy(model);
  solve::require_velocity(model.flow->stage(0));
  a.settle(*model.flow);
  a.check(*model.flow, model.notes.contains("calor.table"));
  model.flow->compute_in(a.type_for(*model.flow));
  const InterruptGuard guard;
  const bool pictures = model.flow->items().kind == data::ItemKind::pictures;
  return pictures ? score_pictures(globals, a, model) : score_rows(globals, a, model);
}

}  // namespace

void add_score(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App& command = add_command(
      program, globals, "score", "The log-density of rows, or bits per dimension of pictures.",
      "  calor score runs/houses houses-2026.csv --out densities.csv\n"
      "  calor score runs/houses houses-2026.csv --rank 20      the most unusual rows\n"
      "  calor score runs/houses --split test --json\n"
      "  calor score runs/wide wide.npy --divergence hutch++ --probes 12\n"
      "  calor score runs/fm-mnist-bits --count 500          bits per dimension of mnist-test\n"
      "  calor score runs/mine pictures/ --probes 4 --out bits.csv");
  arguments->add_to(command);
  set_work(command, globals, [&globals, arguments] { return run_score(globals, *arguments); });
}

}  // namespace calor::app
