// The times of what local flow matching does with a trained stage, at POWER's published size:
// 100,000 rows pushed through it, and exact log-densities of 10,000 rows.
//
//     build/bench/table_field --make FILE [--steps 1500]
//     build/bench/table_field FILE [--work push,logdensity] [--method dopri5]
//                             [--tolerance 1e-5] [--ode-steps 20] [--products auto] [--threads 2]
//
// --make trains the stage on a mixture in six dimensions, so that the field is worth integrating,
// and writes its weights, rows to work on and the exact results for the first of them; the peer
// (peers/lfm_field.py) reads the same file. The other form prints one line of JSON for each work:
// elapsed and processor time, evaluations, and the errors on the rows whose results are known.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <numbers>

#include "bench/choices.h"
#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/flow/flow.h"
#include "calor/io/safetensors.h"
#include "calor/net/mlp.h"
#include "calor/solve/log_density.h"
#include "calor/solve/stage_field.h"
#include "calor/train/optimiser.h"

namespace {

using namespace calor;

constexpr std::int64_t dimensions = 6;
constexpr std::int64_t rows_to_push = 100'000;
constexpr std::int64_t rows_to_score = 10'000;
constexpr std::int64_t chunk = 32'768;  // as the trainer pushes
// Rows whose exact results are known. The trace of a network of ReLUs jumps wherever one of them
// switches, and each jump is to be found: far more evaluations than any other row needs.
constexpr std::int64_t rows_known = 64;
constexpr double known_push_tolerance = 1e-9;
constexpr double known_logdet_tolerance = 1e-7;

struct Settings {
  std::string file, make, products = "auto";
  std::vector<std::string> work{"push", "logdensity"};
  std::int64_t steps = 1500;
  double tolerance = 1e-5;
  std::string method = "dopri5";
  std::int64_t ode_steps = 20;
  int threads = 0;
};

flow::ModelOptions options() {
  flow::ModelOptions options;
  options.kind = net::NetworkKind::mlp;
  options.mlp = {.width = 256, .layers = 4, .activation = net::Activation::relu};
  options.stages.gammas = {0.15};
  options.stages.inner = path::InnerPath::trigonometric;
  options.objective.prediction = objective::Quantity::v;
  options.objective.loss = objective::Quantity::v;
  options.objective.t_eps = 0;
  options.objective.blur_term = objective::BlurTerm::exact;
  return options;
}

data::ItemSpec items() {
  data::ItemSpec spec{.channels = dimensions, .height = 1, .width = 1, .class_names = {}};
  spec.kind = data::ItemKind::rows;
  return spec;
}

// Rows of a mixture of ten Gaussians of different widths and shapes, of about unit variance.
at::Tensor mixture(std::int64_t n, std::uint64_t seed) {
  const auto shape = at::detail::createCPUGenerator(1);
  constexpr std::int64_t parts = 10;
  const at::Tensor means = at::randn({parts, dimensions}, shape) * 0.9;
  const at::Tensor widths = at::exp(at::randn({parts, dimensions, 1}, shape) * 0.5) * 0.3;
  const at::Tensor turns =
      std::get<0>(at::linalg_qr(at::randn({parts, dimensions, dimensions}, shape)));
  const auto draw = at::detail::createCPUGenerator(seed);
  const at::Tensor part = at::randint(parts, {n}, draw, at::TensorOptions(at::kLong));
  const at::Tensor noise = at::randn({n, dimensions, 1}, draw);
  const at::Tensor spread =
      at::matmul(turns.index_select(0, part), widths.index_select(0, part) * noise);
  return means.index_select(0, part) + spread.squeeze(2);
}

void train(net::Network& network, const path::StageStep& step, std::int64_t steps) {
  constexpr std::int64_t batch = 2048;
  net::Parameters& parameters = network.parameters();
  auto state = train::OptimiserState::start(parameters.flat());
  const train::LearningRate rate{.base = 2e-3, .decay_share = 0.5};
  const auto draw = at::detail::createCPUGenerator(2);
  const at::Tensor lambda = at::zeros({1});
  for (std::int64_t i = 0; i < steps; ++i) {
    const at::Tensor x = mixture(batch, static_cast<std::uint64_t>(1000 + i));
    const at::Tensor g = at::randn(x.sizes(), draw);
    const at::Tensor s = at::rand({batch, 1}, draw);
    const at::Tensor c = (s * (std::numbers::pi / 2)).cos(), b = (s * (std::numbers::pi / 2)).sin();
    const at::Tensor end = step.alpha(lambda) * x + step.beta(lambda) * g;
    const at::Tensor velocity = (c * end - b * x) * (std::numbers::pi / 2);
    parameters.flat_gradient().zero_();
    const at::Tensor said = network.forward(
        {.z = (c * x + b * end).view({batch, dimensions, 1, 1}), .t = s.squeeze(1), .y = {}});
    at::mse_loss(said.flatten(1), velocity).backward();
    at::Tensor weights = parameters.flat();
    train::update(weights, parameters.flat_gradient(), 1, {.lr = rate.at(i, steps), .beta2 = 0.999},
                  state);
  }
}

// Labels of a flow without classes.
flow::Given nothing_given(std::int64_t n) {
  return {.labels = at::zeros({n}, at::kLong), .condition = {}};
}

solve::LogDensity score(const flow::Flow& flow, const at::Tensor& rows,
                        const solve::OdeOptions& ode) {
  const solve::StageField field(flow.stage(0), {dimensions, 1, 1}, nothing_given(rows.size(0)), 0);
  const std::vector<const solve::VelocityField*> stages{&field};
  return solve::log_density(stages, rows, {.transport = {.ode = ode}});
}

solve::OdeSolution push(const flow::Flow& flow, const at::Tensor& rows,
                        const solve::OdeOptions& ode) {
  const solve::StageField field(flow.stage(0), {dimensions, 1, 1}, nothing_given(rows.size(0)), 0);
  const auto f = [&](const at::Tensor& s, const at::Tensor& x) { return field.velocity(s, x); };
  return solve::integrate(f, rows, 0, 1, ode);
}

void make(const Settings& settings) {
  flow::Flow flow(options(), items(), at::kCPU);
  net::Network& network = flow.stage(0).network();
  net::Parameters& parameters = network.parameters();
  parameters.initialise(random_key(0, RandomUse::test));
  parameters.flatten(at::kCPU);
  parameters.allocate_gradient();
  train(network, *flow.stage(0).step(), settings.steps);

  io::TensorFile file;
  for (const auto& [name, tensor] : parameters.named()) {
    file.tensors.emplace_back("weight." + name, tensor.detach().clone());
  }
  const at::Tensor rows = mixture(rows_to_push, 3);
  file.tensors.emplace_back("rows", rows);
  const c10::NoGradGuard no_grad;
  parameters.flatten(at::kCPU, at::kDouble);
  const at::Tensor known = rows.narrow(0, 0, rows_known).to(at::kDouble);
  solve::OdeOptions ode{
      .rtol = known_push_tolerance, .atol = known_push_tolerance, .per_row = true};
  const auto pushed = push(flow, known, ode);
  file.tensors.emplace_back("pushed", pushed.y);
  ode.rtol = ode.atol = known_logdet_tolerance;
  const auto scored = score(flow, known, ode);
  file.tensors.emplace_back("log_density", scored.log_density);
  fmt::print("{} rows: {:.0f} evaluations a row pushed, {:.0f} scored\n", rows_known,
             pushed.row_nfe.to(at::kDouble).mean().item<double>(), scored.nfe);
  io::write_safetensors(settings.make, file);
}

struct Result {
  at::Tensor values;  // of all rows, in order
  double nfe = 0;     // mean over the rows
};

Result push_all(const flow::Flow& flow, const at::Tensor& rows, const solve::OdeOptions& ode) {
  Result out{.values = at::empty_like(rows)};
  for (std::int64_t first = 0; first < rows.size(0); first += chunk) {
    const std::int64_t count = std::min(chunk, rows.size(0) - first);
    const auto solution = push(flow, rows.narrow(0, first, count), ode);
    out.values.narrow(0, first, count).copy_(solution.y);
    out.nfe += static_cast<double>(solution.nfe) * static_cast<double>(count) /
               static_cast<double>(rows.size(0));
  }
  return out;
}

Result score_all(const flow::Flow& flow, const at::Tensor& rows, const solve::OdeOptions& ode) {
  const auto density = score(flow, rows.narrow(0, 0, rows_to_score), ode);
  return {.values = density.log_density, .nfe = density.nfe};
}

int measure(const Settings& settings) {
  net::use(bench::products_of(settings.products));
  const io::TensorFile file = io::read_safetensors(settings.file);
  flow::Flow flow(options(), items(), at::kCPU);
  net::Parameters& parameters = flow.stage(0).network().parameters();
  parameters.flatten(at::kCPU);
  for (const auto& [name, tensor] : parameters.named()) {
    tensor.copy_(file.at("weight." + name));
  }
  const c10::NoGradGuard no_grad;
  solve::OdeOptions ode{
      .rtol = settings.tolerance, .atol = settings.tolerance, .steps = settings.ode_steps};
  ode.method = config::value_of(solve::ode_methods, settings.method);
  const at::Tensor rows = file.at("rows");
  push_all(flow, rows.narrow(0, 0, 1000), ode);
  for (const auto& work : settings.work) {
    const bool pushing = work == "push";
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu_start = std::clock();
    const Result result = pushing ? push_all(flow, rows, ode) : score_all(flow, rows, ode);
    const double cpu =
        static_cast<double>(std::clock() - cpu_start) / static_cast<double>(CLOCKS_PER_SEC);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const at::Tensor known = file.at(pushing ? "pushed" : "log_density");
    const at::Tensor error = result.values.narrow(0, 0, rows_known) - known;
    fmt::print(
        R"({{"work":"{}","seconds":{:.6f},"cpu_seconds":{:.6f},"nfe":{:.1f},"rms_error":{:.3g},)"
        R"("max_error":{:.3g}}})"
        "\n",
        work, taken.count(), cpu, result.nfe, error.square().mean().sqrt().item<double>(),
        error.abs().max().item<double>());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  Settings settings;
  CLI::App program("Times a trained stage of local flow matching.", "table_field");
  program.add_option("file", settings.file, "what --make wrote");
  program.add_option("--make", settings.make, "train the field and write this file");
  program.add_option("--steps", settings.steps, "training steps of --make")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  program.add_option("--work", settings.work, "push, logdensity")
      ->delimiter(',')
      ->check(CLI::IsMember({"push", "logdensity"}));
  program.add_option("--tolerance", settings.tolerance, "rtol and atol")
      ->check(CLI::Range(1e-12, 1.0))
      ->capture_default_str();
  program.add_option("--method", settings.method, "how the equation is solved")
      ->check(CLI::IsMember(config::names_of(solve::ode_methods)))
      ->capture_default_str();
  program.add_option("--ode-steps", settings.ode_steps, "of methods with fixed steps")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  program.add_option("--products", settings.products, "auto, standard or onednn")
      ->check(CLI::IsMember({"auto", "standard", "onednn"}))
      ->capture_default_str();
  program.add_option("--threads", settings.threads, "threads; the machine's without it")
      ->check(CLI::Range(1, 1024));
  CLI11_PARSE(program, argc, argv);
  if (settings.threads > 0) at::set_num_threads(settings.threads);
  try {
    if (!settings.make.empty()) {
      make(settings);
      return 0;
    }
    return measure(settings);
  } catch (const calor::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
