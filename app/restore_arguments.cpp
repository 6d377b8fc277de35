#include "app/restore_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "calor/core/error.h"
#include "calor/io/picture.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;
using restore::Task;

// A flag for a declared option of the measurement, with its own default.
void add_measurement(CLI::App& command, std::vector<std::string>& settings, const std::string& flag,
                     const std::string& key) {
  static restore::MeasurementOptions defaults;
  config::Options declared;
  defaults.declare(declared);
  const config::Option& option = *declared.find(key);
  add_setting(command, settings, flag, option,
              key == "restore.task" ? "none, it is to be named" : option.default_text);
}

// Noise on the way lets a sampler forget what it did wrong before, and steering makes errors.
void set_defaults(solve::GenerateOptions& options) {
  options.solver.solver = solve::Solver::ancestral;
  options.solver.grid = solve::GridKind::log_snr;
  options.solver.steps = 40;
}

void add_sampling(CLI::App& command, std::vector<std::string>& settings, const std::string& flag,
                  const std::string& key) {
  static solve::GenerateOptions defaults;
  set_defaults(defaults);
  config::Options declared;
  defaults.declare(declared);
  const config::Option& option = *declared.find(key);
  add_setting(command, settings, flag, option,
              key == "sample.guidance" ? "the model's" : config::to_text(option.get()));
}

}  // namespace

void RestoreArguments::check_unguided(double guidance) const {
  if (guidance == 1) return;
  said.refuse({"--guidance"}, "--label CLASS",
              "pictures of no class, towards which nothing can guide");
}

bool RestoreArguments::draws_from_set() const {
  return pictures.empty() || (pictures.size() == 1 && !io::is_picture_name(pictures.front()));
}

restore::MeasurementOptions RestoreArguments::measurement() const {
  restore::MeasurementOptions options;
  config::Options declared;
  options.declare(declared);
  assign_all(declared, measurement_settings_);
  return options;
}

solve::GenerateOptions RestoreArguments::sampling(const RunModel& model) const {
  solve::GenerateOptions options = solve::options_from_notes(model.notes, model.file.string());
  set_defaults(options);
  config::Options declared;
  options.declare(declared);
  assign_all(declared, sampling_settings_);
  options.batch = batch;
  return options;
}

void RestoreArguments::check() const {
  if (!said.has("--task")) {
    throw usage_error("--task deblur, superresolve, inpaint or denoise", "none was named",
                      "say what was done to the picture");
  }
  const Task task = measurement().task;
  const auto only_for = [&](Task own, std::initializer_list<const char*> flags) {
    if (task == own) return;
    said.refuse(flags, "--task " + restore::task_name(own), "--task " + restore::task_name(task));
  };
  only_for(Task::deblur, {"--blur"});
  only_for(Task::superresolve, {"--factor", "--reduction"});
  only_for(Task::inpaint, {"--mask"});
  const bool drawn = simulate && draws_from_set();
  if (!drawn) said.refuse({"--count", "--reference"}, "pictures of a data set", "pictures named");
  if (pictures.empty() && !simulate) {
    throw usage_error("IMAGE, the measured picture, or --simulate", "neither",
                      "--simulate degrades pictures that the model has not seen");
  }
  const std::string ending = fs::path(out).extension().string();
  if (ending != ".png" && ending != ".npy") {
    throw usage_error("--out FILE.png or FILE.npy", fmt::format("'{}'", out),
                      ".png makes a sheet, .npy an array of the samples [n, samples, C, H, W]");
  }
  check_place("--out", out);
  std::vector<std::string> inputs = pictures;
  inputs.push_back(mask);
  check_apart("--out", out, inputs);
}

void RestoreArguments::add_to(CLI::App& command) {
  said = SaidFlags(command);
  command.add_option("run", run, "run folder or model.safetensors")->required();
  command.add_option(
      "image", pictures,
      "measured pictures: files, or a folder of them; with --simulate clean ones, or "
      "a data set (default: the model's NAME-test)");
  add_measurement(command, measurement_settings_, "--task", "restore.task");
  add_measurement(command, measurement_settings_, "--sigma", "restore.sigma");
  add_measurement(command, measurement_settings_, "--blur", "restore.blur");
  add_measurement(command, measurement_settings_, "--factor", "restore.factor");
  add_measurement(command, measurement_settings_, "--reduction", "restore.reduction");
  command.add_option("--mask", mask,
                     "inpaint: FILE.png as large as the model's pictures, white where pixels are "
                     "known");
  command.add_flag("--simulate", simulate,
                   "the pictures are clean: measure them first, and compare what is restored");
  command.add_option("--count", count, "pictures drawn from a data set")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_option("--samples", samples, "of each picture")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command.add_option("--label", label, "class number or name, or none")->capture_default_str();
  add_sampling(command, sampling_settings_, "--steps", "sample.steps");
  add_sampling(command, sampling_settings_, "--solver", "sample.solver");
  add_sampling(command, sampling_settings_, "--grid", "sample.grid");
  add_sampling(command, sampling_settings_, "--guidance", "sample.guidance");
  command
      .add_option("--calibration", calibration,
                  "pictures on which the model's error at each time is measured; 0: taken from the "
                  "spectrum alone")
      ->check(CLI::IsMember({0}) | CLI::Range(2, 100'000))
      ->capture_default_str();
  command.add_flag("--fixed", fixed,
                   "the model is taken to err alike on all pictures, however far it is from their "
                   "measurement");
  command
      .add_option("--reference", reference,
                  "real pictures for the Frechet distance, besides those restored")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  command.add_option("--seed", seed, "of the noise and of the pictures drawn")
      ->check(seed_number())
      ->capture_default_str();
  command
      .add_option("--out", out,
                  "FILE.png: a sheet of measurement, baselines, samples, mean and spread; "
                  "FILE.npy: the samples, fp32 [n, samples, C, H, W]")
      ->capture_default_str();
  add_ema(command, ema);
  precision.add_to(command, net::Precision::fp32);
  command.add_option("--batch", batch, "samples at a time")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  machine.add_with_products_to(command);
}

}  // namespace calor::app
