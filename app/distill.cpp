// calor distill: from a trained flow to maps of few evaluations each.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <sstream>

#include "app/command.h"
#include "app/run_lock.h"
#include "app/train_observer.h"
#include "app/train_request.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/training_data.h"
#include "calor/distill/distiller.h"
#include "calor/io/atomic_file.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct DistillArguments {
  std::string teacher, run, method = "direct", perceptual, grouping = "equal", store = "fp32";
  std::vector<std::string> settings;
  distill::DistilOptions options;
  SaidFlags said;
  Machine machine;
};

// How a student is trained: as the teacher was, but for what the command line says. The target
// network of consistency follows the student's fast.
train::RunConfig student_config(const flow::LoadedModel& teacher, const DistillArguments& a,
                                const fs::path& file) {
  const auto note = teacher.notes.find("calor.training");
  if (note == teacher.notes.end()) {
    throw usage_error("a model that says how it was trained",
                      fmt::format("{} does not", file.string()),
                      "distil the model.safetensors of a run of calor train");
  }
  std::vector<std::string> settings;
  if (a.options.method == distill::Method::consistency) settings.emplace_back("train.ema2=0.95");
  for (const std::string& setting : a.settings) {
    if (!setting.starts_with("train.")) {
      throw usage_error("settings of train.*", setting,
                        "a student has its teacher's network, path and data");
    }
    settings.push_back(setting);
  }
  return train::parse_config(note->second, file.string() + " (metadata)", settings);
}

// The first lines in which two texts differ; empty where none does.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::istringstream one(a), other(b);
  std::string left, right;
  while (true) {
    const bool more = static_cast<bool>(std::getline(one, left));
    const bool more_there = static_cast<bool>(std::getline(other, right));
    if (!more && !more_there) return {};
    if (!more) left.clear();
    if (!more_there) right.clear();
    if (left != right) return {left, right};
  }
}

// What must not change between two calls for one run folder.
void settle(const fs::path& folder, const std::string& text) {
  const fs::path file = folder / student_settings_name;
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    require_usage(!is_run_folder(folder) && !fs::exists(folder / "model.safetensors", ignored),
                  "a folder of the student's own for --run",
                  folder.string() + ": that of a training, whose model it would take the place of",
                  "take another --run folder");
    io::write_file_atomically(file, text);
    return;
  }
  const std::string before = io::read_text(file);
  if (before == text) return;
  const auto [now, was] = first_difference(text, before);
  throw usage_error("the teacher and the settings that this run began with",
                    fmt::format("'{}', where {} has '{}'", now, file.string(), was),
                    "take another --run folder, or the same settings");
}

// What of it the method asks for, and no more: other methods' settings may change.
std::string method_text(const DistillArguments& a) {
  using distill::Method;
  std::string text =
      fmt::format("method = {}\nevaluations = {}\n", a.method, a.options.evaluations);
  if (a.options.method == Method::progressive) {
    text += fmt::format("halvings = {}\n", a.options.halvings);
  }
  if (a.options.method == Method::consistency) {
    text += fmt::format("neighbours = {}\n", a.options.neighbours);
  }
  if (!a.perceptual.empty()) {
    text += fmt::format("perceptual = {}\n", io::checksum_of_file(a.perceptual));
  }
  return text;
}

// The run's settings in words, to be compared line by line.
std::string settings_text(const DistillArguments& a, const std::string& teacher,
                          train::RunConfig& config) {
  return fmt::format(
      "teacher = {}\nstages = {}\ngrouping = {}\npairs = {}\nheld_out = {}\ntrial_steps = {}\n"
      "store = {}\n{}{}",
      teacher, a.options.stages, a.grouping, a.options.pairs, a.options.held_out,
      a.options.trial_steps, a.store, method_text(a), config.options().to_toml());
}

nlohmann::ordered_json describe(const distill::Distiller& distiller) {
  nlohmann::ordered_json groups = nlohmann::json::array();
  for (const auto& group : distiller.groups()) {
    groups.push_back({{"first", group.first + 1}, {"last", group.last + 1}});
  }
  return groups;
}

// Flags that have a say in this method alone, and the numbers that must fit each other; what a
// teacher's stages allow, the distiller checks.
void check(const DistillArguments& a) {
  const distill::DistilOptions& o = a.options;
  const std::string method = "--method " + a.method;
  if (o.method != distill::Method::progressive) {
    a.said.refuse({"--halvings"}, "--method progressive", method);
  }
  if (o.method != distill::Method::consistency) {
    a.said.refuse({"--neighbours"}, "--method consistency", method);
  }
  if (o.grouping != distill::Grouping::measured) {
    a.said.refuse({"--trial-steps"}, "--grouping measured", "--grouping " + a.grouping);
  }
  require_usage(o.pairs >= 2 * o.held_out, "at least twice as many --pairs as --held-out",
                fmt::format("{} and {}", o.pairs, o.held_out), "make more pairs or hold fewer out");
  constexpr std::int64_t most = 1024;
  const bool halved = o.method == distill::Method::progressive;
  require_usage(!halved || (o.evaluations << o.halvings) <= most,
                fmt::format("at most {} evaluations to begin with", most),
                fmt::format("--evaluations {} --halvings {}, which begins with {}", o.evaluations,
                            o.halvings, o.evaluations << o.halvings),
                "lower --halvings");
  const bool neighbours = o.method == distill::Method::consistency;
  require_usage(!neighbours || o.evaluations * o.neighbours <= most,
                fmt::format("at most {} pieces of the way", most),
                fmt::format("--evaluations {} --neighbours {}", o.evaluations, o.neighbours),
                "lower --neighbours");
}

nlohmann::ordered_json run_distill(const Globals& globals, DistillArguments a) {
  const at::Device device = a.machine.apply();
  const fs::path file = flow::model_file_of(a.teacher);
  const flow::LoadedModel teacher = flow::load_model(file, device);
  const fs::path run = a.run.empty() ? fs::path("runs") / "student" : fs::path(a.run);
  a.options.method = config::value_of(distill::methods, a.method);
  a.options.grouping = config::value_of(distill::groupings, a.grouping);
  a.options.store = config::value_of(train::particle_stores, a.store);
  check(a);
  if (!a.perceptual.empty()) {
    a.options.distance = distill::perceptual_distance(
        metric::load_classifier(flow::model_file_of(a.perceptual), device), teacher.flow->items());
  }
  train::RunConfig config = student_config(teacher, a, file);
  train::resolve_automatic(config.train, device);
  // Both in the products that the teacher was trained in, or train.precision says.
  teacher.flow->set_precision(config.train.precision);
  if (teacher.flow->items().condition_width > 0 && teacher.flow->items().observed.count == 0) {
    a.options.conditions = data::open_training_data(config.data).train;
  }
  const std::string checksum = io::checksum_of_file(file);
  const InterruptGuard guard;
  TrainReporter reporter(globals);
  distill::Distiller distiller(teacher, checksum, a.options, config, run, reporter);
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
  const std::int64_t evaluations = a.options.stages * a.options.evaluations;
  if (finished) {
    for (const auto& group : distiller.groups()) {
      say(globals, fmt::format("a map for the stages {} to {}", group.first + 1, group.last + 1));
    }
    say(globals, fmt::format("distilled, {} evaluation{}: {}", evaluations,
                             evaluations == 1 ? "" : "s", model));
  } else {
    say(globals, "stopped and saved; the same command goes on from there");
  }
  return {{"run", run.string()},
          {"outcome", finished ? "finished" : "interrupted"},
          {"method", a.method},
          {"evaluations", evaluations},
          {"groups", describe(distiller)},
          {"model", model}};
}

void add_method(CLI::App& command, DistillArguments& a) {
  command.add_option("--stages", a.options.stages, "students: maps in a row from noise to data")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--evaluations", a.options.evaluations,
                  "of the network in each map; a sample takes --stages times as many")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      .add_option("--method", a.method,
                  "direct: regression on the teacher's states; progressive: many evaluations, "
                  "halved again and again; consistency: neighbours on the teacher's way agree "
                  "where it ends; reflow: a straight flow between the teacher's noise and samples, "
                  "then regression on that")
      ->check(CLI::IsMember(config::names_of(distill::methods)))
      ->capture_default_str();
  command
      .add_option("--halvings", a.options.halvings,
                  "progressive: how often; it begins with --evaluations times 2 to this power")
      ->check(CLI::Range(1, 10))
      ->capture_default_str();
  command
      .add_option("--neighbours", a.options.neighbours,
                  "consistency: states of the teacher in each evaluation's part of the way")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  command.add_option("--perceptual", a.perceptual,
                     "FILE.safetensors of a classifier (LeNet or a CIFAR ResNet): pictures are "
                     "also compared by its layers, not by the mean square alone");
}

}  // namespace

void add_distill(CLI::App& program, Globals& globals) {
  auto a = std::make_shared<DistillArguments>();
  CLI::App& command = add_command(
      program, globals, "distill",
      "Distil a trained flow into maps of few evaluations, from what it makes of noise.",
      "  calor distill runs/lfm-rose --stages 1 --run runs/rose-in-one\n"
      "  calor distill runs/lfm-rose --stages 2 --evaluations 2 --method progressive\n"
      "  calor distill runs/hdfm-mnist --evaluations 4 --states runs/states --run runs/in-four\n"
      "  calor distill runs/lfm-fashion-mnist --stages 2 --grouping measured train.steps=5000\n"
      "  calor distill runs/hdfm-mnist --evaluations 4 --perceptual mnist_lenet.safetensors\n"
      "  calor sample runs/rose-in-one --count 10000 --out points.csv");
  a->said = SaidFlags(command);
  command.add_option("teacher", a->teacher, "run folder or model.safetensors")->required();
  command.add_option("settings", a->settings,
                     "train.key=value; the others are the teacher's. train.steps are shared by all "
                     "that a student's method trains; train.ema2 is the decay of consistency's "
                     "target network (default: 0.95)");
  add_method(command, *a);
  command.add_option("--run", a->run, "the student's run folder (default: runs/student)");
  command.add_option("--states", a->options.states,
                     "folder for what the teacher makes, which students of one teacher can share, "
                     "also at the same time (default: RUN/pairs)");
  command
      .add_option("--grouping", a->grouping,
                  "which stages a map takes the place of: equal numbers, or the groups whose "
                  "students, tried briefly in one evaluation, miss held-out pairs least")
      ->check(CLI::IsMember(config::names_of(distill::groupings)))
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
  command.add_option("--store", a->store, "how the teacher's states lie in their files")
      ->check(CLI::IsMember(config::names_of(train::particle_stores)))
      ->capture_default_str();
  a->machine.add_to(command);
  set_work(command, globals, [&globals, a] { return run_distill(globals, *a); });
}

}  // namespace calor::app
