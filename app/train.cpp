// calor train: from a preset, a TOML file or a run folder to a trained model; the same command
// again resumes.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/train_observer.h"
#include "calor/config/presets.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/train/trainer.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct TrainArguments {
  std::string source;
  std::vector<std::string> settings;
  std::string run;
  bool override_changes = false;
  bool list_settings = false;
  Machine machine;
};

// Two processes must not train in one folder: the second is refused while the first lives.
class RunLock {
 public:
  explicit RunLock(const fs::path& run) {
    const std::string file = (run / "run.lock").string();
    descriptor_ = open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (descriptor_ < 0) {
      throw Error("a run folder that can be written",
                  fmt::format("{}: {}", file, system_error_text(errno)),
                  "choose another folder with --run, or repair its permissions");
    }
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      close(descriptor_);
      throw Error("a run folder that no other process trains in",
                  fmt::format("{} is locked by a running calor train", run.string()),
                  "wait for it, stop it, or choose another folder with --run");
    }
  }
  ~RunLock() { close(descriptor_); }
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_ = -1;
};

struct Request {
  train::RunConfig config;
  fs::path run;
};

bool is_run_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "config.toml", ignored);
}

// What the person asked for, before looking at what the run folder already holds.
Request read_request(const TrainArguments& arguments) {
  std::error_code ignored;
  const fs::path source = arguments.source;
  if (is_run_folder(source)) {
    const std::string file = (source / "config.toml").string();
    return {train::parse_config(io::read_text(file), file, arguments.settings),
            arguments.run.empty() ? source : fs::path(arguments.run)};
  }
  const bool file = source.extension() == ".toml" || fs::is_regular_file(source, ignored);
  const std::string name = file ? source.stem().string() : arguments.source;
  const std::string text =
      file ? io::read_text(source) : std::string(config::preset(arguments.source));
  return {train::parse_config(text, file ? arguments.source : "preset " + name, arguments.settings),
          arguments.run.empty() ? fs::path("runs") / name : fs::path(arguments.run)};
}

// The configuration to train with: the stored one where the run has begun, else the request made
// definite and stored.
train::RunConfig settle(const TrainArguments& arguments, const Request& request,
                        at::Device device) {
  const fs::path file = request.run / "config.toml";
  train::RunConfig config = request.config;
  if (is_run_folder(request.run)) {
    const auto stored = train::parse_config(io::read_text(file), file.string(), {});
    config = train::merge_for_resume(stored, request.config, arguments.override_changes,
                                     request.run.string());
  }
  train::resolve_automatic(config, device);
  io::write_file_atomically(
      file, "# The settings of this run, as they were resolved.\n" + config.options().to_toml());
  return config;
}

nlohmann::ordered_json print_settings(const Globals& globals) {
  train::RunConfig defaults;
  const config::Options options = defaults.options();
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& option : options.all()) {
    std::string range = option.range.empty() ? option.type : option.type + ", " + option.range;
    if (!option.unit.empty()) range += ", " + option.unit;
    answer(globals, fmt::format("{} = {}  ({})\n    {}", option.key, option.default_text, range,
                                option.text));
    list.push_back({{"key", option.key},
                    {"default", option.default_text},
                    {"type", option.type},
                    {"range", option.range},
                    {"unit", option.unit},
                    {"text", option.text}});
  }
  return {{"settings", list}};
}

nlohmann::ordered_json run_training(const Globals& globals, const TrainArguments& arguments) {
  const at::Device device = arguments.machine.apply();
  const Request request = read_request(arguments);
  // The data first: a run folder is made only for a run that can begin.
  const auto set = data::open_dataset(request.config.data);
  io::make_folder(request.run);
  const RunLock lock(request.run);
  io::remove_leftovers(request.run);
  const train::RunConfig config = settle(arguments, request, device);
  say(globals, fmt::format("run folder: {}; {} pictures of {} x {} x {}, {} classes",
                           request.run.string(), report::grouped(set->size()), set->spec().channels,
                           set->spec().height, set->spec().width, set->spec().classes()));
  const InterruptGuard guard;
  TrainReporter reporter(globals);
  train::Trainer trainer(config, set, request.run, device, reporter);
  const train::Outcome outcome = trainer.run();
  reporter.finish();
  const std::string model = (request.run / "model.safetensors").string();
  if (outcome == train::Outcome::interrupted) {
    say(globals, fmt::format("stopped and saved at step {}; the same command goes on from there",
                             trainer.progress().step));
  } else {
    say(globals, "trained: " + model);
    say(globals, fmt::format("sample it: calor sample {} --out grid.png", request.run.string()));
  }
  return {{"run", request.run.string()},
          {"outcome", outcome == train::Outcome::finished ? "finished" : "interrupted"},
          {"step", trainer.progress().step},
          {"images", trainer.progress().step * config.train.batch},
          {"loss_average", reporter.loss()},
          {"images_per_second", reporter.images_per_second()},
          {"model", model},
          {"samples", reporter.newest_grid()}};
}

}  // namespace

void add_train(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App& command = add_command(
      program, globals, "train", "Train a model; the same command again resumes.",
      "  calor train hdfm-glyphs\n"
      "  calor train hdfm-fashion-mnist train.steps=2000 --run runs/short\n"
      "  calor train my.toml train.seed=1 path.kind=linear\n"
      "  calor train runs/short              goes on where it stopped\n"
      "  calor train --settings              every key, its default, range and meaning");
  command.add_option("source", arguments->source, "preset, TOML file or run folder");
  command.add_option("settings", arguments->settings, "key=value settings, over the preset's");
  command.add_option("--run", arguments->run, "run folder (default: runs/NAME)");
  command.add_flag("--override", arguments->override_changes,
                   "on resume, take changed settings instead of refusing them");
  command.add_flag("--settings", arguments->list_settings, "list every setting and stop");
  arguments->machine.add_to(command);
  set_work(command, globals, [&globals, arguments]() -> nlohmann::ordered_json {
    if (arguments->list_settings) return print_settings(globals);
    if (arguments->source.empty()) {
      throw usage_error("a preset, a TOML file or a run folder", "none was named",
                        "for example: calor train hdfm-glyphs; list presets with: calor presets");
    }
    return run_training(globals, *arguments);
  });
}

}  // namespace calor::app
