// calor score: the log-density of each row, and what it says of the model in nats and bits.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>

#include "app/command.h"
#include "app/nll.h"
#include "app/rows_argument.h"
#include "app/run_argument.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/csv.h"
#include "calor/net/precision.h"
#include "calor/report/progress.h"
#include "calor/solve/flow_density.h"

namespace calor::app {
namespace {

struct ScoreArguments {
  std::string run, data, split = "test", divergence = "exact", method = "adams", precision = "auto",
                         out;
  std::int64_t probes = 1, steps = 20, draws = 1, rank = 0, seed = 0, batch = 8192, count = 10'000;
  double rtol = 1e-5, atol = 1e-5, t_eps = 1e-3;
  bool gaussian = false, per_row = false, invert = false;
  Machine machine;
};

solve::FlowDensityOptions density_options(const ScoreArguments& a) {
  solve::FlowDensityOptions options;
  options.ode.method = config::value_of(solve::ode_methods, a.method);
  options.ode.rtol = a.rtol;
  options.ode.atol = a.atol;
  options.ode.steps = a.steps;
  options.ode.per_row = a.per_row;
  options.divergence = {.kind = config::value_of(solve::divergence_kinds, a.divergence),
                        .probes = a.probes,
                        .gaussian = a.gaussian,
                        .seed = static_cast<std::uint64_t>(a.seed)};
  options.t_eps = a.t_eps;
  options.batch = a.batch;
  return options;
}

// Below this the rounding of fp32 networks is what limits the error.
constexpr double least_fp32_tolerance = 1e-6;

at::ScalarType type_for(const ScoreArguments& a, const flow::Flow& flow) {
  if (a.precision != "auto") return a.precision == "fp64" ? at::kDouble : at::kFloat;
  const bool wide = flow.options().kind == net::NetworkKind::mlp &&
                    solve::is_adaptive(config::value_of(solve::ode_methods, a.method)) &&
                    std::min(a.rtol, a.atol) < least_fp32_tolerance;
  return wide ? at::kDouble : at::kFloat;
}

// Log-densities of the rows, averaged over draws of the dequantisation.
struct Scores {
  Rows rows;  // of the first draw
  at::Tensor standardised, original, probe_error;
  double nfe = 0;
};

Scores compute(const Globals& globals, const ScoreArguments& a, const RunModel& model) {
  Scores scores;
  const auto options = density_options(a);
  std::unique_ptr<report::ProgressBar> bar;
  for (std::int64_t draw = 0; draw < a.draws; ++draw) {
    Rows rows = open_rows(model, a.data, a.split, a.count, a.seed + draw);
    const std::int64_t n = rows.rows.size(0);
    if (!bar) bar = std::make_unique<report::ProgressBar>(n * a.draws, 0, "rows", globals.quiet);
    const auto density =
        solve::flow_log_density(*model.flow, rows.rows, rows.given, options,
                                [&](std::int64_t done) { bar->update(draw * n + done, ""); });
    if (!density.log_density.defined() || density.log_density.size(0) < n) {
      throw Error("the density of every row", "stopped by a signal", "start it again");
    }
    const double share = 1.0 / static_cast<double>(a.draws);
    const auto add = [&](at::Tensor& sum, const at::Tensor& value) {
      sum = sum.defined() ? sum + share * value : share * value;
    };
    add(scores.standardised, density.log_density + rows.to_standardised);
    add(scores.original, density.log_density + rows.to_original);
    add(scores.probe_error, density.standard_error);
    scores.nfe += share * density.nfe;
    if (draw == 0) scores.rows = std::move(rows);
  }
  bar->finish();
  return scores;
}

// The rows with the lowest density first; rank 1 is the most unusual one.
std::vector<std::size_t> by_density(const at::Tensor& log_density) {
  const double* values = log_density.const_data_ptr<double>();
  std::vector<std::size_t> order(static_cast<std::size_t>(log_density.numel()));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return values[a] < values[b]; });
  return order;
}

void write_rows(const std::string& file, const Scores& scores,
                const std::vector<std::size_t>& order) {
  const double* standardised = scores.standardised.const_data_ptr<double>();
  const double* original = scores.original.const_data_ptr<double>();
  const double* error = scores.probe_error.const_data_ptr<double>();
  std::vector<std::size_t> rank(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) rank[order[k]] = k + 1;
  const std::vector<std::string> header{"row", "log_density_standardised", "log_density",
                                        "standard_error", "rank"};
  io::write_csv(
      file, header, order.size(), header.size(), [&](std::size_t row, std::size_t column) {
        switch (column) {
          case 0:
            return std::to_string(scores.rows.row_numbers[row]);
          case 1:
            return fmt::format("{}", standardised[row]);
          case 2:
            return fmt::format("{}", original[row]);
          case 3:
            return std::isfinite(error[row]) ? fmt::format("{}", error[row]) : std::string();
          default:
            return std::to_string(rank[row]);
        }
      });
}

// The largest error of a coordinate when rows are carried to noise and back.
double inversion_error(const ScoreArguments& a, const flow::Flow& flow, const Rows& rows) {
  constexpr std::int64_t most = 1000;
  const std::int64_t n = std::min(most, rows.rows.size(0));
  const at::Tensor x = rows.rows.narrow(0, 0, n).to(at::kDouble);
  const flow::Given given = rows.given.narrow(0, n);
  const auto options = density_options(a);
  const auto there = solve::flow_transport(flow, x, given, solve::Direction::to_noise, options);
  const auto back = solve::flow_transport(flow, there.x, given, solve::Direction::to_data, options);
  return (back.x.to(at::kDouble) - x).abs().max().item<double>();
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

nlohmann::ordered_json run_score(const Globals& globals, const ScoreArguments& a) {
  const at::Device device = a.machine.apply();
  if (!a.out.empty() && std::filesystem::path(a.out).extension() != ".csv") {
    throw usage_error("--out FILE.csv", fmt::format("'{}'", a.out), "name the file .csv");
  }
  net::use(net::resolve(net::Products::automatic));
  const RunModel model = open_run(a.run, "1", device);
  model.flow->compute_in(type_for(a, *model.flow));
  const InterruptGuard guard;
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
  const bool adaptive = solve::is_adaptive(config::value_of(solve::ode_methods, a.method));
  const std::string how = adaptive ? fmt::format("at rtol {:g}, atol {:g}", a.rtol, a.atol)
                                   : fmt::format("in {} steps a stage", a.steps);
  const std::string precision = model.flow->type() == at::kDouble ? "fp64" : "fp32";
  answer(globals, fmt::format("{} divergence, {} {}, {}; {:.0f} evaluations a row", a.divergence,
                              a.method, how, precision, scores.nfe));
  const auto order = by_density(scores.standardised);
  const auto ranked = rank_rows(globals, a, scores, order);
  if (!a.out.empty()) write_rows(a.out, scores, order);
  nlohmann::ordered_json object{{"count", n}, {"data", scores.rows.source}};
  add_to(object, nll);
  const double probe_error =
      (scores.probe_error.square().sum().sqrt() / static_cast<double>(n)).item<double>();
  object["probe_standard_error"] = json_number(probe_error);
  object["likelihood"] = scores.rows.note;
  object["divergence"] = a.divergence;
  object["probes"] = a.divergence == "exact" ? 0 : a.probes;
  object["draws"] = a.draws;
  object["method"] = a.method;
  object["precision"] = precision;
  object[adaptive ? "rtol" : "steps"] = adaptive ? nlohmann::json(a.rtol) : nlohmann::json(a.steps);
  if (adaptive) object["atol"] = a.atol;
  object["t_eps"] = a.t_eps;
  object["nfe"] = scores.nfe;
  object["seed"] = a.seed;
  object["out"] = a.out;
  object["most_unusual"] = ranked;
  if (a.invert) {
    const double error = inversion_error(a, *model.flow, scores.rows);
    answer(globals, fmt::format("to noise and back: largest error of a coordinate {:.2g}", error));
    object["inversion_error"] = json_number(error);
  }
  return object;
}

void add_options(CLI::App& command, ScoreArguments& a) {
  command.add_option("run", a.run, "run folder or model.safetensors")->required();
  command.add_option("data", a.data,
                     "table or points to score; without it, held-out rows of the model's own data");
  command.add_option("--split", a.split, "without DATA: test, validation or train")
      ->check(CLI::IsMember({"test", "validation", "train"}))
      ->capture_default_str();
  command.add_option("--count", a.count, "without DATA: fresh points of a model of points")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{100'000'000}))
      ->capture_default_str();
  command.add_option("--divergence", a.divergence, "exact, hutchinson or hutch++")
      ->check(CLI::IsMember(config::names_of(solve::divergence_kinds)))
      ->capture_default_str();
  command.add_option("--probes", a.probes, "of the estimated divergences")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command.add_flag("--gaussian", a.gaussian, "normal probes instead of signs");
  command.add_option("--draws", a.draws, "dequantisations that are averaged")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command.add_option("--method", a.method, "how the ODE is solved")
      ->check(CLI::IsMember(config::names_of(solve::ode_methods)))
      ->capture_default_str();
  command
      .add_option(
          "--steps", a.steps,
          "of abm, rk4, heun, midpoint and euler in each stage: steps of equal size, with no "
          "control of the error")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command
      .add_option("--precision", a.precision,
                  "fp32 or fp64; auto: fp64 for a perceptron at a tolerance below 1e-6")
      ->check(CLI::IsMember({"auto", "fp32", "fp64"}))
      ->capture_default_str();
  command.add_option("--rtol", a.rtol, "relative tolerance")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--atol", a.atol, "absolute tolerance")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_flag("--per-row", a.per_row, "control the error of each row by itself");
  command.add_flag("--invert", a.invert,
                   "also carry up to 1000 rows to noise and back, and report the largest error");
  command.add_option("--t-eps", a.t_eps, "clean predictions: the smallest inner time")
      ->check(CLI::Range(1e-6, 0.5))
      ->capture_default_str();
  command.add_option("--rank", a.rank, "list this many of the most unusual rows")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
      ->capture_default_str();
  command.add_option("--seed", a.seed, "of dequantisation and probes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--batch", a.batch, "rows at a time")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 22))
      ->capture_default_str();
  command.add_option("--out", a.out,
                     "FILE.csv: row, log_density_standardised, log_density, standard_error, rank");
  a.machine.add_to(command);
}

}  // namespace

void add_score(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App& command = add_command(
      program, globals, "score", "The log-density of rows, and the negative log-likelihood.",
      "  calor score runs/houses houses-2026.csv --out densities.csv\n"
      "  calor score runs/houses houses-2026.csv --rank 20      the most unusual rows\n"
      "  calor score runs/houses --split test --json\n"
      "  calor score runs/wide wide.npy --divergence hutch++ --probes 12");
  add_options(command, *arguments);
  set_work(command, globals, [&globals, arguments] { return run_score(globals, *arguments); });
}

}  // namespace calor::app
