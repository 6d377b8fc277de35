// calor distill: from a trained flow to maps of one evaluation each.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/run_lock.h"
#include "app/train_observer.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/train/distil.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct DistillArguments {
  std::string teacher, run, grouping = "equal", store = "fp32";
  std::vector<std::string> settings;
  train::DistilOptions options;
  Machine machine;
};

// How a student is trained: as the teacher was, but for what the command line says.
train::RunConfig student_config(const flow::LoadedModel& teacher, const DistillArguments& a,
                                const fs::path& file) {
  const auto note = teacher.notes.find("calor.training");
  if (note == teacher.notes.end()) {
    throw usage_error("a model that says how it was trained",
                      fmt::format("{} does not", file.string()),
                      "distil the model.safetensors of a run of calor train");
  }
  for (const std::string& setting : a.settings) {
    if (setting.starts_with("train.")) continue;
    throw usage_error("settings of train.*", setting,
                      "a student has its teacher's network, path and data");
  }
  return train::parse_config(note->second, file.string() + " (metadata)", a.settings);
}

// What must not change between two calls for one run folder.
void settle(const fs::path& folder, const std::string& text) {
  const fs::path file = folder / "distil.txt";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    io::write_file_atomically(file, text);
    return;
  }
  const std::string before = io::read_text(file);
  if (before == text) return;
  throw usage_error("the teacher and the settings that this run began with",
                    fmt::format("others than in {}", file.string()),
                    "take another --run folder, or the same settings");
}

std::string settings_text(const DistillArguments& a, const std::string& teacher,
                          train::RunConfig& config) {
  return fmt::format(
      "teacher = {}\nstages = {}\ngrouping = {}\npairs = {}\nheld_out = {}\ntrial_steps = {}\n"
      "store = {}\n{}",
      teacher, a.options.stages, a.grouping, a.options.pairs, a.options.held_out,
      a.options.trial_steps, a.store, config.options().to_toml());
}

nlohmann::ordered_json describe(const train::Distiller& distiller) {
  nlohmann::ordered_json groups = nlohmann::json::array();
  for (const auto& group : distiller.groups()) {
    groups.push_back({{"first", group.first + 1}, {"last", group.last + 1}});
  }
  return groups;
}

nlohmann::ordered_json run_distill(const Globals& globals, DistillArguments a) {
  const at::Device device = a.machine.apply();
  const fs::path file = flow::model_file_of(a.teacher);
  const flow::LoadedModel teacher = flow::load_model(file, device);
  const fs::path run = a.run.empty() ? fs::path("runs") / "student" : fs::path(a.run);
  a.options.grouping = config::value_of(train::groupings, a.grouping);
  a.options.store = config::value_of(train::particle_stores, a.store);
  if (a.options.pairs < 2 * a.options.held_out) {
    throw usage_error("at least twice as many --pairs as --held-out",
                      fmt::format("{} and {}", a.options.pairs, a.options.held_out),
                      "make more pairs or hold fewer out");
  }
  train::RunConfig config = student_config(teacher, a, file);
  const std::string checksum = io::checksum_of_file(file);
  const InterruptGuard guard;
  TrainReporter reporter(globals);
  train::Distiller distiller(teacher, checksum, a.options, config, run, reporter);
  io::make_folder(run);
  const RunLock lock(run, RunLock::Kind::whole_run, 0);
  io::remove_leftovers(run);
  settle(run, settings_text(a, checksum, config));
  say(globals, fmt::format("run folder: {}; teacher {}, {} stages", run.string(), file.string(),
                           teacher.flow->size()));
  const train::Outcome outcome = distiller.run();
  reporter.finish();
  const std::string model = (run / "model.safetensors").string();
  const bool finished = outcome == train::Outcome::finished;
  if (finished) {
    for (const auto& group : distiller.groups()) {
      say(globals, fmt::format("a map for the stages {} to {}", group.first + 1, group.last + 1));
    }
    say(globals, "distilled: " + model);
  } else {
    say(globals, "stopped and saved; the same command goes on from there");
  }
  return {{"run", run.string()},
          {"outcome", finished ? "finished" : "interrupted"},
          {"evaluations", a.options.stages},
          {"groups", describe(distiller)},
          {"model", model}};
}

}  // namespace

void add_distill(CLI::App& program, Globals& globals) {
  auto a = std::make_shared<DistillArguments>();
  CLI::App& command = add_command(
      program, globals, "distill",
      "Distil a trained flow into maps of one evaluation each, by regression on what it makes of "
      "noise.",
      "  calor distill runs/lfm-rose --stages 1 --run runs/rose-in-one\n"
      "  calor distill runs/lfm-fashion-mnist --stages 2 --grouping measured train.steps=5000\n"
      "  calor sample runs/rose-in-one --count 10000 --out points.csv");
  command.add_option("teacher", a->teacher, "run folder or model.safetensors")->required();
  command.add_option("settings", a->settings, "train.key=value; the others are the teacher's");
  command.add_option("--stages", a->options.stages, "maps, hence evaluations, from noise to data")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--run", a->run, "the student's run folder (default: runs/student)");
  command
      .add_option("--grouping", a->grouping,
                  "which stages a map takes the place of: equal numbers, or the groups whose "
                  "students, tried briefly, miss held-out pairs least")
      ->check(CLI::IsMember(config::names_of(train::groupings)))
      ->capture_default_str();
  command.add_option("--pairs", a->options.pairs, "items that the teacher makes to learn from")
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{1'000'000'000}))
      ->capture_default_str();
  command.add_option("--held-out", a->options.held_out, "of them, to measure on")
      ->check(CLI::Range(std::int64_t{10}, std::int64_t{10'000'000}))
      ->capture_default_str();
  command.add_option("--trial-steps", a->options.trial_steps, "measured: steps of a trial")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command.add_option("--store", a->store, "how the pairs lie in their files")
      ->check(CLI::IsMember(config::names_of(train::particle_stores)))
      ->capture_default_str();
  a->machine.add_to(command);
  set_work(command, globals, [&globals, a] { return run_distill(globals, *a); });
}

}  // namespace calor::app
