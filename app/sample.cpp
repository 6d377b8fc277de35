// calor sample: pictures, points or table rows from a trained model.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "app/command.h"
#include "app/labels.h"
#include "app/precision_argument.h"
#include "app/run_argument.h"
#include "app/sample_writer.h"
#include "app/sampling_argument.h"
#include "app/start_argument.h"
#include "app/trajectory.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/training_data.h"
#include "calor/io/npy.h"
#include "calor/report/progress.h"
#include "calor/solve/generate.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct SampleArguments {
  std::string run, label, ema = "1", noise, start, out, trajectory, given;
  SamplingArgument sampling;
  std::int64_t count = 64;
  bool count_given = false;
  std::int64_t seed = 0;
  std::int64_t batch = 0;
  PrecisionArgument precision;
  SaidFlags said;
  Machine machine;
};

// The states in the file that --noise names.
at::Tensor noise_of(const SampleArguments& arguments, const flow::Flow& flow) {
  const at::Tensor noise = io::read_npy(arguments.noise).to(at::kFloat);
  const auto& p = flow.items();
  const std::vector<std::int64_t> item{p.channels, p.height, p.width};
  if (noise.dim() != 4 || noise.sizes().slice(1) != at::IntArrayRef(item) || noise.size(0) == 0) {
    throw Error(fmt::format("noise of shape [N, {}, {}, {}]", p.channels, p.height, p.width),
                fmt::format("{}: rank {}, {} numbers", arguments.noise, noise.dim(), noise.numel()),
                "it is the state at t = 0: standard normal numbers times path.noise_scale");
  }
  if (!at::isfinite(noise).all().item<bool>()) {
    throw Error("finite noise", arguments.noise + ": NaN or infinity", "draw it again");
  }
  if (arguments.count_given && arguments.count != noise.size(0)) {
    throw usage_error(fmt::format("--count {} with that noise, or none", noise.size(0)),
                      fmt::format("--count {}", arguments.count), "leave --count out");
  }
  return noise;
}

// One stream per item from the seed; with the noise of a file, the seed's is that of the steps.
solve::Start start_of(const SampleArguments& arguments, const RunModel& model,
                      const at::Tensor& noise, const at::Tensor& labels) {
  auto keys = solve::sampling_keys(arguments.seed, 0, labels.size(0));
  if (!noise.defined()) return open_start(model, arguments.start, std::move(keys), labels);
  require_usage(arguments.start.empty(), "--noise or --start", "both", "leave one of them out");
  return {.noise = noise, .keys = std::move(keys)};
}

// What the rows of a model with conditions are given: the rows of a file, again and again.
flow::Given given_of(const SampleArguments& arguments, const RunModel& model, std::int64_t count,
                     std::int64_t columns) {
  const data::ItemSpec& items = model.flow->items();
  flow::Given given{.labels = labels_from(arguments.label, items, count, columns), .condition = {}};
  if (items.condition_width == 0) {
    if (arguments.given.empty()) return given;
    throw usage_error("a model with conditions for --given", "this model has none",
                      "leave --given out, or train with data.condition");
  }
  const auto codecs = data::table_codecs(model.notes, model.file.string());
  if (arguments.given.empty() || !codecs || !codecs->condition) {
    throw usage_error("--given FILE.csv with the columns that the model is conditioned on",
                      "none was named", "see calor info for the columns");
  }
  const at::Tensor rows = codecs->condition->encode(data::read_table(arguments.given, {}));
  given.condition =
      rows.to(at::kFloat).index_select(0, at::arange(count, at::kLong).remainder(rows.size(0)));
  return given;
}

// Items a person asks for without saying how many.
std::int64_t default_count(const data::ItemSpec& items, const std::string& out) {
  if (items.kind == data::ItemKind::pictures) return 64;
  return fs::path(out).extension() == ".png" ? 20'000 : 1000;
}

bool of_pictures(const flow::Flow& flow) { return flow.items().kind == data::ItemKind::pictures; }

void check_model(const RunModel& model) {
  if (!data::policy_codec(model.notes, model.file.string())) return;
  throw usage_error("a model to sample without observations", "a policy",
                    "calor rollout runs it in an environment");
}

// What nobody said.
void settle(SampleArguments& a, const flow::Flow& flow, bool table) {
  if (a.out.empty()) a.out = table ? "samples.csv" : "samples.png";
  if (!a.count_given) a.count = default_count(flow.items(), a.out);
  if (a.batch == 0) a.batch = of_pictures(flow) ? 64 : 16'384;
}

void check_trajectory(const SampleArguments& a, const RunModel& model,
                      const solve::GenerateOptions& options) {
  if (a.trajectory.empty()) return;
  const flow::Flow& flow = *model.flow;
  require_usage(of_pictures(flow), "a model of pictures for --trajectory", "a model of rows",
                "calor plot shows the particles of points stage by stage");
  check_place("--trajectory", a.trajectory, {".png"});
  require_usage(
      !flow.options().stages.maps && !solve::is_ode(options.solver.solver),
      "a solver that steps on the path for --trajectory", solver_text(model, options),
      "say --solver spectral-2m where the model is no student, or leave --trajectory out");
}

// Flags that have no say in what these samples are.
void refuse_idle_flags(const SampleArguments& a, const RunModel& model,
                       const solve::GenerateOptions& options, const at::Tensor& labels) {
  const std::int64_t classes = model.flow->items().classes();
  if (classes > 0 && labels.eq(classes).all().item<bool>() && options.guidance.scale != 1) {
    a.said.refuse({"--guidance"}, "--label CLASS", "samples of no class");
  }
  if (!a.noise.empty() && !solve::is_stochastic(options.solver.solver)) {
    a.said.refuse({"--seed"}, "a solver that draws noise besides that of --noise",
                  solver_text(model, options));
  }
}

// Of a grid: one for each class, where nobody asked for one of them; 0: as many as there are rows.
std::int64_t columns_of(const SampleArguments& a, std::int64_t classes, std::int64_t count) {
  return a.label.empty() && classes > 0 && classes <= 20 ? std::min(classes, count) : 0;
}

// What is asked for.
struct Sampling {
  SampleArguments arguments;
  RunModel model;
  SampleWriter writer;
  solve::GenerateOptions options;
  std::int64_t columns = 0;  // of a grid
  flow::Given given;
  solve::Start start;

  std::int64_t count() const { return given.labels.size(0); }
};

// Everything that can be wrong with a request is found here.
Sampling prepare(SampleArguments a) {
  const at::Device device = a.machine.apply();
  RunModel model = open_run(a.run, a.ema, device);
  check_model(model);
  a.precision.apply(*model.flow);
  const flow::Flow& flow = *model.flow;
  const auto codecs = data::table_codecs(model.notes, model.file.string());
  settle(a, flow, codecs.has_value());
  const SampleWriter writer(a.out, flow.items(), codecs);
  check_place("--out", a.out);
  check_apart("--out", a.out, {a.noise, a.given, a.trajectory});
  solve::GenerateOptions options = a.sampling.options(model);
  options.batch = a.batch;
  solve::check_sampling(flow, options);
  check_trajectory(a, model, options);
  const at::Tensor noise = a.noise.empty() ? at::Tensor{} : noise_of(a, flow);
  const std::int64_t count = noise.defined() ? noise.size(0) : a.count;
  writer.check_count(count);
  const std::int64_t classes = flow.items().classes();
  const std::int64_t columns = columns_of(a, classes, count);
  const flow::Given given = given_of(a, model, count, std::max(columns, classes));
  refuse_idle_flags(a, model, options, given.labels);
  const solve::Start start = start_of(a, model, noise, given.labels);
  return {.arguments = std::move(a),
          .model = std::move(model),
          .writer = writer,
          .options = options,
          .columns = columns,
          .given = given,
          .start = start};
}

nlohmann::ordered_json tell(const Globals& globals, const Sampling& s, std::int64_t made,
                            std::int64_t nfe, double rate) {
  const std::int64_t count = s.count();
  const std::string solver = solver_text(s.model, s.options);
  const std::string& out = s.arguments.out;
  if (made < count) {
    say(globals, fmt::format("stopped by a signal after {} of {} samples", made, count));
  }
  say(globals, fmt::format("{} samples, {}, {} evaluations each: {}", report::grouped(made), solver,
                           nfe, out));
  return {{"out", out},
          {"count", made},
          {"requested", count},
          {"outcome", made < count ? "interrupted" : "finished"},
          {"nfe", nfe},
          {"solver", solver},
          {"guidance", s.options.guidance.scale},
          {"seed", s.arguments.seed},
          {of_pictures(*s.model.flow) ? "images_per_second" : "rows_per_second", rate}};
}

nlohmann::ordered_json run_sampling(const Globals& globals, const SampleArguments& arguments) {
  const Sampling s = prepare(arguments);
  const flow::Flow& flow = *s.model.flow;
  const std::string& trajectory = s.arguments.trajectory;
  const InterruptGuard guard;
  report::ProgressBar bar(s.count(), 0, of_pictures(flow) ? "img" : "rows", globals.quiet);
  TrajectoryRecorder recorder(trajectory.empty() ? 0 : 4);
  const auto made = solve::generate(
      flow, s.start, s.given, s.options, [&](std::int64_t done) { bar.update(done, ""); },
      recorder.observer());
  bar.finish();
  if (made.items.size(0) == 0) {
    throw stopped_error("at least one batch of samples", "before the first was done");
  }
  s.writer.write(made.items, s.columns);
  if (!trajectory.empty()) recorder.write(trajectory, made.items, flow.items());
  return tell(globals, s, made.items.size(0), made.nfe, bar.rate());
}

}  // namespace

void add_sample(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<SampleArguments>();
  CLI::App& command = add_command(
      program, globals, "sample",
      "Sample pictures, points or table rows from a run folder or a model file.",
      "  calor sample runs/demo --out grid.png\n"
      "  calor sample runs/demo --count 1000 --label 3 --guidance 1.5 --out folder/\n"
      "  calor sample model.safetensors --steps 10 --solver heun --seed 7 --out samples.npy\n"
      "  calor sample runs/houses --count 5000 --out houses.csv\n"
      "  calor sample runs/demo --noise noise.npy --trajectory steps.png --out grid.png");
  SampleArguments& a = *arguments;
  a.said = SaidFlags(command);
  command.add_option("run", a.run, "run folder or model.safetensors")->required();
  command.add_option(
      "--out", a.out,
      "pictures: FILE.png (a grid), FILE.npy (fp32 [N, C, H, W] in [-1, 1]) or a folder "
      "of PNGs; points: FILE.png, .npy or .csv; tables: FILE.csv, .tsv or .npy");
  CLI::Option* count =
      command.add_option("--count", a.count, "how many (default: 64 pictures, 1000 rows)")
          ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  command.add_option("--label", a.label, "class number or name, or none (default: all in turn)");
  a.sampling.add_to(command);
  command.add_option("--seed", a.seed, "item i is the same whatever the count or batch")
      ->check(seed_number())
      ->capture_default_str();
  add_ema(command, a.ema);
  a.precision.add_to(command, net::Precision::fp32);
  command.add_option("--noise", a.noise, "FILE.npy [N, C, H, W]: start from this noise");
  command.add_option("--start", a.start,
                     "DATA: pictures that a model of levels (IHDM) begins with, blurred (default: "
                     "those that it was trained on)");
  command.add_option("--given", a.given,
                     "table with the columns that the model is conditioned on, taken in turn");
  command.add_option("--trajectory", a.trajectory, "FILE.png: state and prediction at each step");
  command.add_option("--batch", a.batch, "items at a time (default: 64 pictures, 16384 rows)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  a.machine.add_with_products_to(command);
  set_work(command, globals, [&globals, arguments, count] {
    arguments->count_given = count->count() > 0;
    return run_sampling(globals, *arguments);
  });
}

}  // namespace calor::app
