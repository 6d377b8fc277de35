// calor plot: a model of points in the plane as one picture: its data, its density on a grid, its
// samples, and the particles after each stage.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/rows_argument.h"
#include "app/run_argument.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/point_sets.h"
#include "calor/io/picture.h"
#include "calor/report/density_plot.h"
#include "calor/report/progress.h"
#include "calor/report/titles.h"
#include "calor/solve/flow_density.h"
#include "calor/solve/generate.h"

namespace calor::app {
namespace {

struct PlotArguments {
  std::string run, out = "density.png", scale = "root";
  std::int64_t side = 256, count = 100'000, seed = 0, label = -1;
  double rtol = 1e-3, atol = 1e-3;
  Machine machine;
};

constexpr double box = data::point_box;
constexpr std::int64_t batch = 2048;  // between two looks at whether to stop

report::DensityColours colours_of(const PlotArguments& a) {
  report::DensityColours colours;
  colours.scale = a.scale == "log"    ? report::DensityScale::logarithmic
                  : a.scale == "root" ? report::DensityScale::root
                                      : report::DensityScale::linear;
  return colours;
}

flow::Given given_for(const flow::Flow& flow, std::int64_t rows, std::int64_t label) {
  const std::int64_t value = label < 0 ? flow.items().classes() : label;
  return {.labels = at::full({rows}, value, at::kLong), .condition = {}};
}

void stop_if_asked() { stop_if_interrupted("the whole picture"); }

at::Tensor log_density_on_grid(const Globals& globals, const PlotArguments& a,
                               const flow::Flow& flow) {
  const at::Tensor points = report::plot_grid(box, a.side);
  solve::FlowDensityOptions options;
  options.ode.rtol = a.rtol;
  options.ode.atol = a.atol;
  options.batch = batch;
  report::ProgressBar bar(points.size(0), 0, "points", globals.quiet);
  const auto density =
      solve::flow_log_density(flow, points.to(at::kFloat), given_for(flow, points.size(0), a.label),
                              options, [&](std::int64_t done) { bar.update(done, "density"); });
  bar.finish();
  stop_if_asked();
  return density.log_density.view({a.side, a.side});
}

// The particles at the left end of each stage, from noise to data, in the order of generation.
at::Tensor stage_panels(const PlotArguments& a, const flow::Flow& flow,
                        const solve::GenerateOptions& options) {
  const at::Tensor noise = flow.initial_noise(solve::sampling_keys(a.seed, 0, a.count));
  std::vector<at::Tensor> panels;
  const std::int64_t side =
      std::max<std::int64_t>(96, 3 * a.side / static_cast<std::int64_t>(flow.size() + 1));
  const auto panel = [&](const at::Tensor& points, const std::string& title) {
    return report::with_title(report::scatter_picture(points, box, side, colours_of(a)), title);
  };
  for (std::size_t n = 0; n < flow.size(); ++n) {
    const auto made = solve::generate_between(flow, flow.size(), n, noise,
                                              given_for(flow, a.count, a.label), options);
    stop_if_asked();
    panels.push_back(panel(made.items.flatten(1), n == 0 ? "data" : fmt::format("after {}", n)));
  }
  panels.push_back(panel(noise.flatten(1), "noise"));
  return report::side_by_side(panels);
}

// One above the other, the narrower one on white.
at::Tensor stack_rows(const at::Tensor& top, const at::Tensor& bottom) {
  const std::int64_t width = std::max(top.size(2), bottom.size(2));
  at::Tensor sheet = at::full({3, top.size(1) + bottom.size(1), width}, 255, at::kByte);
  sheet.narrow(1, 0, top.size(1)).narrow(2, 0, top.size(2)).copy_(top);
  sheet.narrow(1, top.size(1), bottom.size(1)).narrow(2, 0, bottom.size(2)).copy_(bottom);
  return sheet;
}

nlohmann::ordered_json run_plot(const Globals& globals, const PlotArguments& a) {
  const at::Device device = a.machine.apply();
  const RunModel model = open_run(a.run, "1", device);
  const flow::Flow& flow = *model.flow;
  if (!model.notes.contains("calor.points") || flow.items().numbers() != 2) {
    throw usage_error("a model of points in the plane", "another model",
                      "calor sample shows pictures and writes rows");
  }
  if (a.label >= flow.items().classes()) {
    throw usage_error(flow.items().classes() == 0
                          ? std::string("a model with classes for --label")
                          : fmt::format("--label below {}", flow.items().classes()),
                      fmt::format("--label {}", a.label), "leave --label out");
  }
  check_place("--out", a.out, {".png"});
  const InterruptGuard guard;
  solve::GenerateOptions options = solve::options_from_notes(model.notes, model.file.string());
  options.batch = batch;
  options.solver.rtol = a.rtol;
  options.solver.atol = a.atol;
  const at::Tensor density = log_density_on_grid(globals, a, flow);
  const double integral = report::integrate_grid(density, box, a.side);
  report::DensityColours colours = colours_of(a);
  colours.log_top = report::log_top_of(density, colours.quantile);
  const Rows fresh = open_rows(model, "", "test", a.count, a.seed);
  const auto made =
      solve::generate(flow, solve::start_from(flow, solve::sampling_keys(a.seed, 0, a.count)),
                      given_for(flow, a.count, a.label), options);
  const at::Tensor top = report::side_by_side(
      {report::with_title(report::scatter_picture(fresh.rows, box, a.side, colours), "data"),
       report::with_title(report::density_picture(density, colours), "density"),
       report::with_title(report::scatter_picture(made.items.flatten(1), box, a.side, colours),
                          "samples")});
  io::write_png(a.out, flow.size() == 1 ? top : stack_rows(top, stage_panels(a, flow, options)));
  answer(globals, fmt::format("{}: the density integrates to {:.4f} over [-{}, {}]^2", a.out,
                              integral, box, box));
  return {{"out", a.out},    {"integral", integral}, {"side", a.side}, {"count", a.count},
          {"nfe", made.nfe}, {"seed", a.seed},       {"rtol", a.rtol}, {"atol", a.atol}};
}

}  // namespace

void add_plot(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<PlotArguments>();
  PlotArguments& a = *arguments;
  CLI::App& command =
      add_command(program, globals, "plot", "Draw a model of points: density, samples, stages.",
                  "  calor plot runs/lfm-rose --out rose.png\n"
                  "  calor plot runs/moons --side 500 --scale log --label 0");
  command.add_option("run", a.run, "run folder or model.safetensors")->required();
  command.add_option("--out", a.out, "FILE.png")->capture_default_str();
  command.add_option("--side", a.side, "pixels of each large panel, and of the density's grid")
      ->check(CLI::Range(64, 2048))
      ->capture_default_str();
  command.add_option("--count", a.count, "points drawn in each panel")
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{100'000'000}))
      ->capture_default_str();
  command.add_option("--scale", a.scale, "linear, root (faint parts show) or log")
      ->check(CLI::IsMember({"linear", "root", "log"}))
      ->capture_default_str();
  command.add_option("--label", a.label, "one class only")->check(CLI::NonNegativeNumber);
  command.add_option("--rtol", a.rtol, "of the density and the samples")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--atol", a.atol, "of the density and the samples")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--seed", a.seed, "of the samples")->check(seed_number());
  a.machine.add_with_products_to(command);
  set_work(command, globals, [&globals, arguments] { return run_plot(globals, *arguments); });
}

}  // namespace calor::app
