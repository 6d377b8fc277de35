#include "app/score_arguments.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "calor/core/error.h"
#include "calor/solve/picture_likelihood.h"

namespace calor::app {
namespace {

// Below this the rounding of fp32 networks is what limits the error.
constexpr double least_fp32_tolerance = 1e-6;
// The velocity of a clean prediction divides that rounding by t_eps.
constexpr double usual_tolerance = 1e-5, tolerance_of_clean_pictures = 1e-4;

}  // namespace

void ScoreArguments::settle(const flow::Flow& flow) {
  const data::ItemSpec& items = flow.items();
  const bool pictures = items.kind == data::ItemKind::pictures;
  if (divergence == "auto") divergence = pictures ? "hutchinson" : "exact";
  if (probes == 0) probes = pictures ? divergence == "hutch++" ? 6 : 2 : 1;
  if (batch == 0) batch = pictures ? solve::likelihood_batch(items.numbers()) : 8192;
  if (count == 0) count = pictures ? 1000 : 10'000;
  const bool clean = pictures && solve::likelihood_t_eps(flow, t_eps) > 0;
  for (double* tolerance : {&rtol, &atol}) {
    if (*tolerance < 0) *tolerance = clean ? tolerance_of_clean_pictures : usual_tolerance;
  }
}

void ScoreArguments::check(const flow::Flow& flow, bool table) const {
  if (adaptive()) {
    said.refuse({"--steps"}, "a method of equal steps (abm, rk4, heun, midpoint, euler)",
                "--method " + method);
  } else {
    said.refuse({"--rtol", "--atol", "--per-row"},
                "a method that controls its error (adams, dopri5, tsit5)", "--method " + method);
  }
  if (divergence == "exact") {
    said.refuse({"--probes", "--gaussian"}, "an estimated divergence (hutchinson, hutch++)",
                "the exact one");
  }
  if (solve::likelihood_t_eps(flow, t_eps) == 0) {
    said.refuse({"--t-eps"}, "clean predictions", "a model that predicts the velocity");
  }
  if (flow.items().kind != data::ItemKind::pictures) {
    said.refuse({"--labels"}, "a model of pictures", "a model of rows");
  }
  if (!data.empty()) said.refuse({"--split"}, "the model's own data", data);
  const bool points = !table && flow.items().kind != data::ItemKind::pictures;
  if (table || (points && !data.empty()))
    said.refuse({"--count"}, "pictures or fresh points", "rows");
  if (points) said.refuse({"--split", "--draws"}, "pictures or a table", "a model of points");
}

bool ScoreArguments::adaptive() const {
  return solve::is_adaptive(config::value_of(solve::ode_methods, method));
}

solve::FlowDensityOptions ScoreArguments::density() const {
  solve::FlowDensityOptions options;
  options.ode.method = config::value_of(solve::ode_methods, method);
  options.ode.rtol = rtol;
  options.ode.atol = atol;
  options.ode.steps = steps;
  options.ode.per_row = per_row;
  options.divergence = {.kind = config::value_of(solve::divergence_kinds, divergence),
                        .probes = probes,
                        .gaussian = gaussian,
                        .seed = static_cast<std::uint64_t>(seed)};
  options.t_eps = t_eps;
  options.batch = batch;
  return options;
}

c10::ScalarType ScoreArguments::type_for(const flow::Flow& flow) const {
  if (precision != "auto") return precision == "fp64" ? at::kDouble : at::kFloat;
  const bool wide = flow.options().kind == net::NetworkKind::mlp && adaptive() &&
                    std::min(rtol, atol) < least_fp32_tolerance;
  return wide ? at::kDouble : at::kFloat;
}

std::string ScoreArguments::solver_text() const {
  return method +
         (adaptive() ? fmt::format(" at rtol {:g}, atol {:g}", rtol, atol)
                     : fmt::format(" in {} steps a stage, with no control of their error", steps));
}

std::string precision_name(const flow::Flow& flow) {
  return flow.type() == at::kDouble ? "fp64" : "fp32";
}

void ScoreArguments::describe(const flow::Flow& flow, nlohmann::ordered_json& object) const {
  object["divergence"] = divergence;
  object["probes"] = divergence == "exact" ? 0 : probes;
  object["draws"] = draws;
  object["method"] = method;
  object["precision"] = precision_name(flow);
  object[adaptive() ? "rtol" : "steps"] = adaptive() ? nlohmann::json(rtol) : nlohmann::json(steps);
  if (adaptive()) object["atol"] = atol;
  object["seed"] = seed;
}

namespace {

void add_what_is_scored(CLI::App& command, ScoreArguments& a) {
  command.add_option("run", a.run, "run folder or model.safetensors")->required();
  command.add_option(
      "data", a.data,
      "table or points to score; of a model of pictures a known set, a folder, an archive, an IDX, "
      "CIFAR or .npy file; without it, held-out items of the model's own data");
  command
      .add_option("--split", a.split,
                  "without DATA: test, validation or train; of pictures test is the set NAME-test "
                  "of a model of NAME")
      ->check(CLI::IsMember({"test", "validation", "train"}))
      ->capture_default_str();
  command
      .add_option("--count", a.count,
                  "pictures, drawn from the set (default: 1,000); of a model of points, without "
                  "DATA: fresh points (default: 10,000)")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{100'000'000}));
}

void add_divergence(CLI::App& command, ScoreArguments& a) {
  auto kinds = config::names_of(solve::divergence_kinds);
  kinds.emplace_back("auto");
  command
      .add_option("--divergence", a.divergence,
                  "exact, hutchinson or hutch++; auto: hutchinson for pictures, exact for rows")
      ->check(CLI::IsMember(kinds))
      ->capture_default_str();
  command
      .add_option("--probes", a.probes,
                  "of the estimated divergences (default: 1; pictures 2, or 6 for hutch++)")
      ->check(CLI::Range(1, 100'000));
  command.add_flag("--gaussian", a.gaussian, "normal probes instead of signs");
  command.add_option("--draws", a.draws, "dequantisations that are averaged")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command.add_flag("--labels", a.labels,
                   "pictures: given each one's own label, not the likelihood of pictures alone");
}

void add_solver(CLI::App& command, ScoreArguments& a) {
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
  command
      .add_option(
          "--rtol", a.rtol,
          fmt::format("relative tolerance (default: {:g}; pictures by clean predictions {:g})",
                      usual_tolerance, tolerance_of_clean_pictures))
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--atol", a.atol, "absolute tolerance (default: likewise)")
      ->check(CLI::Range(0.0, 1.0));
  command.add_flag("--per-row", a.per_row, "control the error of each row by itself");
}

}  // namespace

void ScoreArguments::add_to(CLI::App& command) {
  said = SaidFlags(command);
  add_what_is_scored(command, *this);
  add_divergence(command, *this);
  add_solver(command, *this);
  command.add_flag("--invert", invert,
                   "also carry up to 1000 rows, or one batch of pictures, to noise and back, and "
                   "report the largest error");
  command.add_option("--t-eps", t_eps, "clean predictions: the smallest inner time")
      ->check(CLI::Range(1e-6, 0.5))
      ->capture_default_str();
  command.add_option("--rank", rank, "list this many of the most unusual items")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
      ->capture_default_str();
  command.add_option("--seed", seed, "of dequantisation, of probes, and of the pictures drawn")
      ->check(seed_number())
      ->capture_default_str();
  command.add_option("--batch", batch, "items at a time (default: 8192 rows, at most 64 pictures)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 22));
  command.add_option("--out", out,
                     "FILE.csv: row, log_density_standardised, log_density, standard_error, rank; "
                     "of pictures item, label, bits_per_dimension, nats, standard_error, rank");
  machine.add_with_products_to(command);
}

std::vector<std::size_t> by_density(const at::Tensor& log_density) {
  const double* values = log_density.const_data_ptr<double>();
  std::vector<std::size_t> order(static_cast<std::size_t>(log_density.numel()));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return values[a] < values[b]; });
  return order;
}

std::vector<std::size_t> ranks_in(const std::vector<std::size_t>& order) {
  std::vector<std::size_t> rank(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) rank[order[k]] = k + 1;
  return rank;
}

std::string error_cell(double error) {
  return std::isfinite(error) ? fmt::format("{}", error) : std::string();
}

double inversion_error(const flow::Flow& flow, const at::Tensor& rows, const flow::Given& given,
                       const solve::FlowDensityOptions& options) {
  const at::Tensor x = rows.to(at::kDouble);
  const auto there = solve::flow_transport(flow, x, given, solve::Direction::to_noise, options);
  const auto back = solve::flow_transport(flow, there.x, given, solve::Direction::to_data, options);
  return (back.x.cpu().to(at::kDouble) - x).abs().max().item<double>();
}

}  // namespace calor::app
