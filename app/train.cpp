// calor train: from a preset, a TOML file or a run folder to a trained model; the same command
// again resumes.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "app/child_processes.h"
#include "app/command.h"
#include "app/run_lock.h"
#include "app/train_classifier.h"
#include "app/train_observer.h"
#include "app/train_request.h"
#include "calor/core/command_line.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/train/classifier_config.h"
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
  std::int64_t stage = 0;
  std::int64_t parallel = 0;
  Machine machine;
};

// Of each stage of a model.
std::vector<std::int64_t> weights_of(const flow::ModelOptions& options,
                                     const data::ItemSpec& items) {
  const flow::Flow flow(options, items, at::kCPU);
  std::vector<std::int64_t> counts;
  for (std::size_t n = 0; n < flow.size(); ++n) {
    counts.push_back(flow.stage(n).network().parameters().count());
  }
  return counts;
}

// The configuration to train with: the stored one where the run has begun, else the request made
// definite; and the keys that --override changes.
struct Settled {
  train::RunConfig config;
  std::vector<std::string> changed;
};

Settled settle(const TrainArguments& arguments, const TrainRequest& request, at::Device device,
               const data::Dataset& set) {
  train::RunConfig config = request.config;
  std::optional<train::RunConfig> before;
  if (const auto stored = stored_request(request.run, Trains::flow)) {
    before = train::parse_config(stored->toml, stored->origin, {});
    config =
        train::merge_for_resume(*before, config, arguments.override_changes, request.run.string());
  }
  train::resolve_automatic(config, device, set);
  Settled settled{.config = config, .changed = {}};
  if (before && arguments.override_changes) {
    settled.changed = config::Options::differing_keys(before->options(), config.options());
  }
  if (!settled.changed.empty()) {
    require_same_weights(
        weights_of(before->model, set.spec()) == weights_of(config.model, set.spec()), request.run);
  }
  return settled;
}

nlohmann::ordered_json print_settings(const Globals& globals) {
  train::RunConfig flow;
  train::ClassifierConfig classifier;
  std::vector<config::Option> all = flow.options().all();
  const config::Options of_classifier = classifier.options();
  for (const auto& option : of_classifier.all()) {
    if (option.key.starts_with("classifier.")) all.push_back(option);
  }
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& option : all) {
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

// What to do with a trained model next.
std::string next_command(const data::TrainingData& data, const std::string& run) {
  if (data.notes.contains("calor.policy")) return "try it: " + command_line({"rollout", run});
  const bool pictures = data.train->spec().kind == data::ItemKind::pictures;
  const bool drawn = pictures || data.notes.contains("calor.points");
  return "sample it: " + command_line({"sample", run, "--out", drawn ? "grid.png" : "samples.csv"});
}

nlohmann::ordered_json run_training(const Globals& globals, const TrainArguments& arguments) {
  const InterruptGuard guard;  // before the data, which may take a while to open
  const at::Device device = arguments.machine.apply();
  const RequestText text = read_request(arguments.source, arguments.settings, arguments.run);
  if (arguments.stage == 0 && train::configures_classifier(text.toml, text.origin)) {
    return train_classifier(globals, text, arguments.override_changes, device);
  }
  const TrainRequest request = read_train_request(text);
  // The data first: a run folder is made only for a run that can begin.
  const auto data = data::open_training_data(request.config.data);
  train::check_run(request.config, data.train->spec());
  io::make_folder(request.run);
  const bool alone = arguments.stage == 0;
  const RunLock lock(request.run, alone ? RunLock::Kind::whole_run : RunLock::Kind::one_stage,
                     arguments.stage);
  if (alone) io::remove_leftovers(request.run);
  auto [config, changed] = settle(arguments, request, device, *data.train);
  say(globals, fmt::format("run folder: {}; {}", request.run.string(), data.description));
  TrainReporter reporter(globals);
  train::Trainer trainer(config, data, request.run, device, reporter);
  if (!changed.empty()) require_steps_left(trainer.anything_left(), changed, request.run);
  const train::Outcome outcome = train_with(request.run, config.options(), reporter, [&] {
    return alone ? trainer.run() : trainer.run_stage(arguments.stage);
  });
  reporter.finish();
  const std::string model = (request.run / "model.safetensors").string();
  if (outcome == train::Outcome::interrupted) {
    say(globals, fmt::format("stopped and saved at step {}; the same command goes on from there",
                             reporter.step()));
  } else if (!alone && trainer.stages_done() < trainer.flow().size()) {
    say(globals, fmt::format("stage {} is trained; {} of {} are", arguments.stage,
                             trainer.stages_done(), trainer.flow().size()));
  } else {
    say(globals, "trained: " + model);
    say(globals, next_command(data, request.run.string()));
  }
  const bool pictures = trainer.flow().items().kind == data::ItemKind::pictures;
  return {{"run", request.run.string()},
          {"outcome", outcome == train::Outcome::finished ? "finished" : "interrupted"},
          {"stages", trainer.flow().size()},
          {"step", reporter.step()},
          {pictures ? "images" : "rows", reporter.step() * config.train.batch},
          {"loss_average", reporter.loss()},
          {pictures ? "images_per_second" : "rows_per_second", reporter.items_per_second()},
          {"model", model},
          {"samples", reporter.newest_grid()}};
}

// Each stage in a process of its own; the last of them to end joins them all.
nlohmann::ordered_json run_parallel(const Globals& globals, const TrainArguments& arguments) {
  const TrainRequest request =
      read_train_request(arguments.source, arguments.settings, arguments.run);
  const auto& stages = request.config.model.stages;
  if (!stages.is_chain() || stages.particles != flow::Particles::exact) {
    throw usage_error("a chain with stages.particles = \"exact\" for --parallel",
                      stages.is_chain() ? "pushed particles: each stage waits for the one before"
                                        : "a flow of one stage",
                      "add stages.particles=exact, or leave --parallel out");
  }
  const auto count = static_cast<std::int64_t>(flow::stage_steps(stages).size());
  const InterruptGuard guard;
  std::int64_t begun = 0;
  std::int64_t done = 0;
  bool failed = false;
  const auto next = [&]() -> std::optional<ChildProcess> {
    if (failed || begun == count) return {};
    const std::string stage = std::to_string(++begun);
    std::vector<std::string> words{"train", arguments.source};
    words.insert(words.end(), arguments.settings.begin(), arguments.settings.end());
    words.insert(words.end(), {"--run", request.run.string(), "--stage", stage, "--quiet",
                               "--device", arguments.machine.device, "--threads",
                               std::to_string(std::max(1, arguments.machine.threads))});
    if (arguments.override_changes) words.emplace_back("--override");
    say(globals, fmt::format("stage {} of {}: a process of its own", stage, count));
    return ChildProcess{.id = static_cast<std::size_t>(begun), .arguments = std::move(words)};
  };
  run_children(arguments.parallel, next, [&](std::size_t /*stage*/, int status) {
    done += status == 0 ? 1 : 0;
    failed = failed || status != 0;
  });
  if (failed) {
    throw Error("all stages to train", "one of the processes failed; its error stands above",
                "mend its cause and give the same command again: trained stages are kept");
  }
  // Interrupted children end well too, with their stage unfinished: the model tells.
  const std::string model = (request.run / "model.safetensors").string();
  std::error_code ignored;
  const bool finished = done == count && fs::exists(model, ignored);
  say(globals, finished ? "trained: " + model
                        : std::string("stopped and saved; the same command goes on from there"));
  return {{"run", request.run.string()},
          {"outcome", finished ? "finished" : "interrupted"},
          {"stages", count},
          {"model", model}};
}

}  // namespace

void add_train(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App& command = add_command(
      program, globals, "train", "Train a model; the same command again resumes.",
      "  calor train hdfm-glyphs\n"
      "  calor train hdfm-fashion-mnist train.steps=2000 --run runs/short\n"
      "  calor train my.toml train.seed=1 path.kind=linear\n"
      "  calor train lfm-table houses.csv --run runs/houses\n"
      "  calor train classifier-pictures photos/     a classifier, for calor evaluate\n"
      "  calor train lfm-rose stages.particles=exact --parallel 2\n"
      "  calor train runs/short              goes on where it stopped\n"
      "  calor train --settings              every key, its default, range and meaning");
  command.add_option("source", arguments->source, "preset, TOML file or run folder");
  command.add_option("settings", arguments->settings,
                     "key=value settings, over the preset's; a path: the data");
  command.add_option("--run", arguments->run, "run folder (default: runs/NAME)");
  command
      .add_option("--stage", arguments->stage,
                  "train one stage of a chain with exact particles, beside other processes")
      ->check(CLI::Range(1, 1001));
  command
      .add_option("--parallel", arguments->parallel,
                  "train the stages of a chain with exact particles in this many processes")
      ->check(CLI::Range(1, 64));
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
    require_usage(arguments->parallel == 0 || arguments->stage == 0, "--stage or --parallel",
                  "both", "leave one of them out");
    return arguments->parallel > 0 ? run_parallel(globals, *arguments)
                                   : run_training(globals, *arguments);
  });
}

}  // namespace calor::app
