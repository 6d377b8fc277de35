// calor sample: pictures from a trained model.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/labels.h"
#include "app/run_argument.h"
#include "app/trajectory.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/io/npy.h"
#include "calor/io/picture.h"
#include "calor/report/grid.h"
#include "calor/report/progress.h"
#include "calor/solve/generate.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct SampleArguments {
  std::string run, label, ema = "1", noise, out, trajectory;
  std::vector<std::string> settings;  // "sample.KEY=value", from the flags
  std::int64_t count = 64;
  bool count_given = false;
  std::int64_t seed = 0;
  std::int64_t batch = 64;
  Machine machine;
};

solve::GenerateOptions options_of(const SampleArguments& arguments, const RunModel& model) {
  solve::GenerateOptions options = solve::options_from_notes(model.notes, model.file.string());
  config::Options declared;
  options.declare(declared);
  for (const auto& setting : arguments.settings) declared.assign(setting, "command line");
  options.batch = arguments.batch;
  return options;
}

// The noise to start from: a file's, or one stream per picture from the seed.
at::Tensor start_noise(const SampleArguments& arguments, const flow::Flow& flow) {
  if (arguments.noise.empty()) {
    return flow.initial_noise(solve::sampling_keys(arguments.seed, 0, arguments.count));
  }
  const at::Tensor noise = io::read_npy(arguments.noise).to(at::kFloat);
  const auto& p = flow.pictures();
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

void write_samples(const std::string& out, const at::Tensor& pictures, std::int64_t columns) {
  const fs::path path = out;
  if (path.extension() == ".npy") {
    io::write_npy(path, pictures);
  } else if (path.extension() == ".png") {
    io::write_png(path, report::tile(data::to_bytes(pictures), columns, 48));
  } else {
    io::make_folder(path);
    const at::Tensor bytes = data::to_bytes(pictures);
    for (std::int64_t i = 0; i < bytes.size(0); ++i) {
      io::write_png(path / fmt::format("{:06}.png", i), bytes[i]);
    }
  }
}

// Known before any work is done: what cannot be written in the end is refused now.
void check_out(const std::string& out) {
  const std::string extension = fs::path(out).extension().string();
  if (extension.empty() || extension == ".png" || extension == ".npy") return;
  throw usage_error(
      "--out FILE.png, FILE.npy or a folder", fmt::format("'{}'", out),
      ".png makes a grid, .npy an array [N, C, H, W] in [-1, 1], a folder single PNGs");
}

nlohmann::ordered_json run_sampling(const Globals& globals, const SampleArguments& arguments) {
  const at::Device device = arguments.machine.apply();
  check_out(arguments.out);
  const RunModel model = open_run(arguments.run, arguments.ema, device);
  const flow::Flow& flow = *model.flow;
  const solve::GenerateOptions options = options_of(arguments, model);
  const at::Tensor noise = start_noise(arguments, flow);
  const std::int64_t count = noise.size(0);
  const std::int64_t classes = flow.pictures().classes();
  const std::int64_t columns =
      arguments.label.empty() && classes > 0 && classes <= 20 ? std::min(classes, count) : 0;
  const at::Tensor labels =
      labels_from(arguments.label, flow.pictures(), count, std::max(columns, classes));

  const InterruptGuard guard;
  report::ProgressBar bar(count, 0, "img", globals.quiet);
  TrajectoryRecorder recorder(arguments.trajectory.empty() ? 0 : 4);
  const auto made = solve::generate(
      flow, noise, labels, options, [&](std::int64_t done) { bar.update(done, ""); },
      recorder.observer());
  bar.finish();
  if (made.pictures.size(0) == 0) {
    throw Error("at least one batch of samples", "stopped by a signal before the first was done",
                "start it again");
  }
  write_samples(arguments.out, made.pictures, columns);
  if (!arguments.trajectory.empty()) recorder.write(arguments.trajectory, made.pictures);
  const std::int64_t made_count = made.pictures.size(0);
  if (made_count < count) {
    say(globals, fmt::format("stopped by a signal after {} of {} samples", made_count, count));
  }
  say(globals, fmt::format("{} samples, {}, {} evaluations each: {}", report::grouped(made_count),
                           solve::solver_name(options.solver.solver), made.nfe, arguments.out));
  return {{"out", arguments.out},
          {"count", made_count},
          {"requested", count},
          {"nfe", made.nfe},
          {"solver", solve::solver_name(options.solver.solver)},
          {"guidance", options.guidance.scale},
          {"seed", arguments.seed},
          {"images_per_second", bar.rate()}};
}

// A flag that sets a sampling setting: declared where the setting is, checked there too.
void add_setting(CLI::App& command, SampleArguments& arguments, const std::string& flag,
                 const std::string& key) {
  static solve::GenerateOptions defaults;
  config::Options declared;
  defaults.declare(declared);
  const config::Option* option = declared.find(key);
  command.add_option_function<std::string>(
      flag,
      [&arguments, key](const std::string& value) {
        arguments.settings.push_back(key + "=" + value);
      },
      fmt::format("{} (default: the model's)", option->text));
}

}  // namespace

void add_sample(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<SampleArguments>();
  CLI::App& command = add_command(
      program, globals, "sample", "Sample pictures from a run folder or a model file.",
      "  calor sample runs/demo --out grid.png\n"
      "  calor sample runs/demo --count 1000 --label 3 --guidance 1.5 --out folder/\n"
      "  calor sample model.safetensors --steps 10 --solver heun --seed 7 --out samples.npy\n"
      "  calor sample runs/demo --noise noise.npy --trajectory steps.png --out grid.png");
  SampleArguments& a = *arguments;
  command.add_option("run", a.run, "run folder or model.safetensors")->required();
  command
      .add_option("--out", a.out,
                  "FILE.png: a grid; FILE.npy: fp32 [N, C, H, W] in [-1, 1]; else a folder of PNGs")
      ->default_val("samples.png");
  CLI::Option* count = command.add_option("--count", a.count, "number of pictures (default 64)")
                           ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  command.add_option("--label", a.label, "class number or name, or none (default: all in turn)");
  add_setting(command, a, "--steps", "sample.steps");
  add_setting(command, a, "--solver", "sample.solver");
  add_setting(command, a, "--guidance", "sample.guidance");
  command
      .add_option_function<std::vector<std::string>>(
          "--guidance-interval",
          [&a](const std::vector<std::string>& ends) {
            a.settings.push_back("sample.guidance_lo=" + ends.at(0));
            a.settings.push_back("sample.guidance_hi=" + ends.at(1));
          },
          "LO HI: times between which guidance acts")
      ->expected(2);
  add_setting(command, a, "--t-eps", "sample.t_eps");
  command.add_option("--seed", a.seed, "picture i is the same whatever the count or batch")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--ema", a.ema, "weights: 1, 2 (averages) or off (the last step's)")
      ->check(CLI::IsMember({"1", "2", "off"}))
      ->capture_default_str();
  command.add_option("--noise", a.noise, "FILE.npy [N, C, H, W]: start from this noise");
  command.add_option("--trajectory", a.trajectory, "FILE.png: state and prediction at each step");
  command.add_option("--batch", a.batch, "pictures at a time")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  a.machine.add_to(command);
  set_work(command, globals, [&globals, arguments, count] {
    arguments->count_given = count->count() > 0;
    return run_sampling(globals, *arguments);
  });
}

}  // namespace calor::app
