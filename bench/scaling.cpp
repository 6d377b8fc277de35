// How the cost of training, sampling's evaluations and exact log-densities grows with the size of
// the model, of the pictures, of the batch and of a table's rows, and with the number of stages,
// beside what the number of operations predicts: that of matrix products and convolutions, at the
// best rate that any point of the same curve reaches. A point's cost over its prediction is 1 where
// the products run at that rate and nothing else matters; it bends upwards where something else
// does.
//
//     build/bench/scaling [--only NAME,..] [--repeats 5] [--threads 1] [--charts FOLDER]
//
// Prints a table in Markdown; --charts draws each curve as FOLDER/scaling-NAME.svg. Processor time,
// the least of the repeats.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "bench/picture_step.h"
#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/report/chart.h"
#include "calor/solve/flow_density.h"
#include "calor/train/roof.h"

namespace {

using namespace calor;

// One thing is varied.
struct Sweep {
  std::string name, what, unit;
  std::vector<std::int64_t> sizes;
  std::function<std::function<void()>(std::int64_t size)> make;
};

struct Point {
  std::int64_t size;
  double seconds, flops;
  double rate() const { return flops / seconds; }
};

std::function<void()> steps_of(flow::Flow own, bench::Example example) {
  auto flow = std::make_shared<flow::Flow>(std::move(own));
  auto state = std::make_shared<train::OptimiserState>(
      train::OptimiserState::start(flow->stage(0).network().parameters().flat()));
  return [=] { bench::one_step(*flow, *state, example); };
}

// A training step of JiT (width 128, depth 4 unless varied), fp32.
struct Picture {
  std::int64_t width = 128, depth = 4, side = 28, batch = 16;
};

std::function<void()> picture_step(const Picture& p) {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::heat;
  options.net.width = p.width;
  options.net.depth = p.depth;
  options.net.heads = p.width / 32;
  options.net.refine = 16;
  const data::ItemSpec pictures = bench::pictures_of(1, p.side);
  return steps_of(bench::ready_flow(options, pictures, net::Precision::fp32),
                  bench::random_example(p.batch, pictures));
}

// A chain of perceptrons 256 x 4 on rows of d numbers; one stage where `steps` is 0.
flow::Flow row_flow(std::int64_t d, std::int64_t steps) {
  flow::ModelOptions options;
  options.kind = net::NetworkKind::mlp;
  options.mlp = {.width = 256, .layers = 4, .activation = net::Activation::silu};
  options.path.kind = path::PathKind::linear;
  options.objective.prediction = objective::Quantity::v;
  options.objective.t_eps = 0;
  options.stages.gammas = std::vector<double>(static_cast<std::size_t>(steps), 0.3);
  data::ItemSpec rows{.channels = d, .height = 1, .width = 1, .class_names = {}};
  rows.kind = data::ItemKind::rows;
  return bench::ready_flow(options, rows, net::Precision::fp32);
}

std::function<void()> row_step(std::int64_t d) {
  flow::Flow flow = row_flow(d, 0);
  bench::Example example = bench::random_example(1000, flow.items());
  example.y = at::zeros({1000}, at::kLong);
  return steps_of(std::move(flow), std::move(example));
}

// Two steps of Runge and Kutta through each stage, the trace of the Jacobian exactly.
std::function<void()> row_density(std::int64_t d, std::int64_t steps) {
  auto flow = std::make_shared<flow::Flow>(row_flow(d, steps));
  const at::Tensor rows = at::randn({200, d}, at::detail::createCPUGenerator(1));
  const flow::Given given{.labels = at::zeros({200}, at::kLong), .condition = {}};
  return [=] {
    const c10::NoGradGuard no_grad;
    solve::FlowDensityOptions options;
    options.ode = {.method = solve::OdeMethod::rk4, .steps = 2};
    solve::flow_log_density(*flow, rows, given, options);
  };
}

std::vector<Sweep> sweeps() {
  return {
      {"width",
       "training step, width of the network",
       "channels",
       {32, 64, 96, 128, 192, 256, 384},
       [](std::int64_t v) { return picture_step({.width = v}); }},
      {"depth",
       "training step, depth of the network",
       "blocks",
       {2, 4, 8, 16},
       [](std::int64_t v) { return picture_step({.depth = v}); }},
      {"side",
       "training step, side of the pictures",
       "pixels",
       {16, 28, 40, 64, 96},
       [](std::int64_t v) { return picture_step({.side = v, .batch = 4}); }},
      {"batch",
       "training step, batch",
       "pictures",
       {1, 2, 4, 8, 16, 32, 64},
       [](std::int64_t v) { return picture_step({.batch = v}); }},
      {"columns",
       "training step of 1,000 rows, columns of a table",
       "columns",
       {2, 4, 8, 16, 32, 64, 128},
       [](std::int64_t v) { return row_step(v); }},
      {"divergence",
       "exact log-density of 200 rows, columns of a table",
       "columns",
       {2, 4, 8, 16, 32, 64},
       [](std::int64_t v) { return row_density(v, 0); }},
      {"stages",
       "exact log-density of 200 rows of 6 numbers, stages of the chain",
       "stages",
       {2, 3, 5, 9},
       [](std::int64_t v) { return row_density(6, v - 1); }},
  };
}

double processor_seconds(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / static_cast<double>(CLOCKS_PER_SEC);
}

Point measure(const Sweep& sweep, std::int64_t size, int repeats) {
  const auto work = sweep.make(size);
  Point point{.size = size, .seconds = std::numeric_limits<double>::infinity(), .flops = 0};
  {
    train::ProductRecorder recorder;
    work();
    for (const auto& product : recorder.noted()) point.flops += product.flops;
  }
  for (int i = 0; i < repeats; ++i) {
    point.seconds = std::min(point.seconds, processor_seconds(work));
  }
  return point;
}

std::vector<Point> measure(const Sweep& sweep, int repeats) {
  std::vector<Point> points;
  for (const std::int64_t size : sweep.sizes) points.push_back(measure(sweep, size, repeats));
  return points;
}

double best_rate(const std::vector<Point>& points) {
  double best = 0;
  for (const Point& p : points) best = std::max(best, p.rate());
  return best;
}

void print(const Sweep& sweep, const std::vector<Point>& points) {
  std::printf("\n%s\n\n| %s | ms | GFLOP | GFLOP/s | times what the operations predict |\n",
              sweep.what.c_str(), sweep.unit.c_str());
  std::printf("|---|---|---|---|---|\n");
  const double best = best_rate(points);
  for (const Point& p : points) {
    std::printf("| %ld | %.3g | %.3g | %.1f | %.2f |\n", static_cast<long>(p.size), 1e3 * p.seconds,
                1e-9 * p.flops, 1e-9 * p.rate(), best / p.rate());
  }
  std::fflush(stdout);
}

void draw(const Sweep& sweep, const std::vector<Point>& points,
          const std::filesystem::path& folder) {
  report::Series measured{.name = "measured", .x = {}, .y = {}};
  report::Series predicted{.name = "operations at the best rate", .x = {}, .y = {}};
  const double best = best_rate(points);
  for (const Point& p : points) {
    measured.x.push_back(static_cast<double>(p.size));
    measured.y.push_back(1e3 * p.seconds);
    predicted.x.push_back(static_cast<double>(p.size));
    predicted.y.push_back(1e3 * p.flops / best);
  }
  const report::Chart chart{.title = sweep.what,
                            .x_label = sweep.unit,
                            .y_label = "ms",
                            .log_x = true,
                            .log_y = true,
                            .curves = {measured, predicted}};
  io::make_folder(folder);
  io::write_file_atomically(folder / fmt::format("scaling-{}.svg", sweep.name),
                            report::svg_chart(chart, 480, 320));
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  std::vector<std::string> names;
  for (const Sweep& sweep : sweeps()) names.push_back(sweep.name);
  std::vector<std::string> only = names;
  std::string charts;
  int repeats = 5;
  int threads = 1;
  CLI::App program("How costs grow, beside what the operations predict.", "scaling");
  program.add_option("--only", only, "some of the curves")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  program.add_option("--repeats", repeats, "of each point, after one to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--threads", threads, "threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  program.add_option("--charts", charts, "folder for a chart of each curve");
  CLI11_PARSE(program, argc, argv);
  at::set_num_threads(threads);
  for (const Sweep& sweep : sweeps()) {
    if (std::ranges::find(only, sweep.name) == only.end()) continue;
    const auto points = measure(sweep, repeats);
    print(sweep, points);
    if (!charts.empty()) draw(sweep, points, charts);
  }
  return 0;
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
