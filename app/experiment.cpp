// calor experiment: a grid of trainings and what they come to, in one table and one page.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "app/child_processes.h"
#include "app/command.h"
#include "app/experiment_budget.h"
#include "app/experiment_trainings.h"
#include "app/run_lock.h"
#include "app/static_answers.h"
#include "app/train_request.h"
#include "calor/config/presets.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/experiment/answers.h"
#include "calor/experiment/page.h"
#include "calor/experiment/plan.h"
#include "calor/experiment/results.h"
#include "calor/io/atomic_file.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct ExperimentArguments {
  std::string source, folder;
  std::vector<std::string> settings;  // of every training
  double budget = 0;                  // minutes of training in all; 0: the experiment's own steps
  std::int64_t seeds = 0, at_once = 1;
  bool plan_only = false;
  Machine machine;
};

struct Request {
  std::string name, text;
  fs::path folder;
};

bool is_experiment_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "experiment.toml", ignored);
}

std::string embedded_text(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, text] : embedded_experiments()) {
    if (known == name) return std::string(text);
    names.emplace_back(known);
  }
  const std::string nearest = nearest_name(name, names);
  throw usage_error("a named experiment, a TOML file or an experiment's folder",
                    fmt::format("'{}'", name),
                    nearest.empty() ? fmt::format("the named ones: {}", fmt::join(names, ", "))
                                    : fmt::format("did you mean '{}'?", nearest));
}

Request read_request(const ExperimentArguments& a) {
  const fs::path source = a.source;
  std::error_code ignored;
  // With --run the folder is named there, and a folder called like an experiment is no matter.
  if (a.folder.empty() && is_experiment_folder(source)) {
    const fs::path folder = source.has_filename() ? source : source.parent_path();
    return {folder.filename().string(), io::read_text(folder / "experiment.toml"), folder};
  }
  const bool file = source.extension() == ".toml" || fs::is_regular_file(source, ignored);
  const std::string name = file ? source.stem().string() : a.source;
  return {name, file ? io::read_text(source) : embedded_text(a.source),
          a.folder.empty() ? fs::path("experiments") / name : fs::path(a.folder)};
}

// What was settled when the experiment began, and holds for all of it.
struct Settled {
  experiment::Choices choices;
  double budget = 0;
  bool begun = false;  // and so found in the folder
};

std::optional<Settled> stored_settings(const fs::path& folder) {
  std::error_code ignored;
  const fs::path file = folder / "plan.json";
  if (!fs::exists(file, ignored)) return {};
  const auto json = nlohmann::json::parse(io::read_text(file), nullptr, false);
  try {
    return Settled{.choices = {.seeds = json.at("seeds").get<std::int64_t>(),
                               .scale = json.at("scale").get<double>(),
                               .settings = json.value("settings", std::vector<std::string>())},
                   .budget = json.at("budget_minutes").get<double>(),
                   .begun = true};
  } catch (const nlohmann::json::exception&) {
    throw Error("a plan.json that an experiment has written", file.string() + ": damaged",
                "write seeds, budget_minutes, scale and settings into it as they were, or name "
                "another folder with --run");
  }
}

void store_settings(const fs::path& folder, const Settled& settled) {
  const nlohmann::ordered_json kept{{"seeds", settled.choices.seeds},
                                    {"budget_minutes", settled.budget},
                                    {"scale", settled.choices.scale},
                                    {"settings", settled.choices.settings}};
  io::write_file_atomically(folder / "plan.json", kept.dump(2) + "\n");
}

[[noreturn]] void refuse_change(const std::string& what, const Request& request,
                                const std::string& found) {
  throw usage_error(fmt::format("{} as when {} began", what, request.folder.string()), found,
                    "go on without that, or name another folder with --run");
}

// What the folder began with; what a new one begins with, before its budget is known.
Settled chosen(const ExperimentArguments& a, const Request& request,
               const experiment::Experiment& experiment) {
  const auto stored = stored_settings(request.folder);
  Settled settled = stored.value_or(
      Settled{.choices = {.seeds = experiment.seeds, .scale = 1, .settings = a.settings},
              .budget = a.budget,
              .begun = false});
  if (a.seeds > 0) settled.choices.seeds = a.seeds;
  if (a.budget > 0 && a.budget != settled.budget) {
    refuse_change("--budget", request, fmt::format("{} minutes, not {}", a.budget, settled.budget));
  }
  if (!a.settings.empty() && a.settings != settled.choices.settings) {
    const auto& had = settled.choices.settings;
    refuse_change("the settings of all trainings", request,
                  fmt::format("{}, not {}", fmt::join(a.settings, " "),
                              had.empty() ? "none" : fmt::to_string(fmt::join(had, " "))));
  }
  return settled;
}

// A budget has no say over steps that are not written {steps:N}.
void require_steps(const experiment::Experiment& experiment, const fs::path& folder,
                   experiment::Choices choices) {
  const auto words_at = [&](double scale) {
    choices.scale = scale;
    std::vector<std::vector<std::string>> all;
    for (const auto& job : experiment::plan_of(experiment, folder, choices).jobs) {
      all.push_back(job.words);
    }
    return all;
  };
  if (words_at(1) != words_at(1e-9)) return;
  throw usage_error("numbers of training steps that --budget can change: {steps:N}",
                    "none in the experiment " + experiment.name,
                    "write train.steps={steps:N} in its commands, or leave --budget out");
}

// The flags of a command that say what it runs on.
std::vector<std::string> machine_flags(const std::string& command, const Machine& machine) {
  if (command == "info") return {};
  std::vector<std::string> flags{"--device", machine.device};
  if (machine.threads > 0) {
    const std::string threads = std::to_string(machine.threads);
    flags.insert(flags.end(), {"--threads", threads});
    if (command == "rollout") flags.insert(flags.end(), {"--workers", threads});
  }
  return flags;
}

// The jobs, which of them are done, and what happened to the others.
class Execution {
 public:
  Execution(const Globals& globals, const ExperimentArguments& arguments,
            const experiment::Experiment& experiment, const experiment::Plan& plan, fs::path folder)
      : globals_(globals),
        arguments_(arguments),
        experiment_(experiment),
        plan_(plan),
        folder_(std::move(folder)),
        states_(plan.jobs.size(), State::waiting) {
    for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
      if (experiment::kept_answer(folder_, plan.jobs[i])) states_[i] = State::done;
    }
    done_before_ = count(State::done);
  }

  void run() {
    run_children(
        arguments_.at_once, [this] { return next(); },
        [this](std::size_t id, int status) { ended(id, status); });
  }

  // The table, the plots and the page, as far as they are known.
  experiment::Table write_answer() const {
    const auto table = experiment::table_of(experiment_, plan_, folder_);
    io::write_file_atomically(folder_ / "table.md", experiment::markdown(experiment_, table));
    io::write_file_atomically(folder_ / "table.csv", experiment::csv(table));
    io::write_file_atomically(folder_ / "index.html", experiment::page(experiment_, plan_, table));
    const auto plots = experiment::plots(experiment_, table);
    for (std::size_t i = 0; i < plots.size(); ++i) {
      io::write_file_atomically(folder_ / fmt::format("plot-{}.svg", i + 1), plots[i]);
    }
    return table;
  }

  std::vector<std::string> failed() const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i] == State::failed) names.push_back(plan_.jobs[i].name);
    }
    return names;
  }
  bool finished() const { return count(State::done) == static_cast<std::int64_t>(states_.size()); }

 private:
  enum class State { waiting, running, done, failed };

  std::int64_t count(State state) const { return std::ranges::count(states_, state); }

  fs::path log_of(const experiment::Job& job) const {
    return folder_ / "logs" / (job.name + ".log");
  }
  fs::path output_of(const experiment::Job& job) const {
    return folder_ / "logs" / (job.name + ".json");
  }

  std::optional<ChildProcess> next() {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i] != State::waiting) continue;
      const auto& job = plan_.jobs[i];
      const auto any_needed = [&](State state) {
        return std::ranges::any_of(job.needs, [&](std::size_t n) { return states_[n] == state; });
      };
      if (any_needed(State::failed)) {
        states_[i] = State::failed;
        continue;
      }
      if (any_needed(State::waiting) || any_needed(State::running)) continue;
      states_[i] = State::running;
      return process_of(i);
    }
    return {};
  }

  ChildProcess process_of(std::size_t i) {
    const auto& job = plan_.jobs[i];
    ChildProcess child{.id = i, .arguments = job.words, .output = output_of(job)};
    child.arguments.emplace_back("--json");
    const auto flags = machine_flags(job.words.front(), arguments_.machine);
    child.arguments.insert(child.arguments.end(), flags.begin(), flags.end());
    // Several bars in one terminal would be a mess.
    if (arguments_.at_once > 1 || globals_.quiet) child.log = log_of(job);
    say(globals_, fmt::format("{} of {}: {}{}", count(State::done) + 1, states_.size(), job.name,
                              time_left()));
    return child;
  }

  std::string time_left() const {
    const std::int64_t done = count(State::done);
    if (done == done_before_) return {};
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begun_;
    const auto left = static_cast<double>(static_cast<std::int64_t>(states_.size()) - done);
    return fmt::format(
        " (about {} left)",
        report::duration_text(spent.count() * left / static_cast<double>(done - done_before_)));
  }

  void ended(std::size_t i, int status) {
    const auto& job = plan_.jobs[i];
    const auto answer =
        nlohmann::ordered_json::parse(io::read_text(output_of(job)), nullptr, false);
    const bool whole = status == 0 && answer.is_object() &&
                       answer.value("outcome", std::string("finished")) == "finished";
    if (whole) {
      experiment::keep_answer(folder_, job, answer);
      states_[i] = State::done;
      report_missing(i, answer);
      if (job.run.empty()) write_answer();
    } else if (interrupted()) {
      states_[i] = State::waiting;
    } else {
      states_[i] = State::failed;
      say(globals_, fmt::format("{} failed{}", job.name,
                                arguments_.at_once > 1 ? ": " + log_of(job).string() : ""));
    }
  }

  // Once for each column: a mistyped key would lack in every answer.
  void report_missing(std::size_t i, const nlohmann::ordered_json& answer) {
    for (const auto& name : experiment::columns_without_number(experiment_, plan_, i, answer)) {
      if (!reported_.insert(name).second) continue;
      const auto column = std::ranges::find(experiment_.columns, name, &experiment::Column::name);
      say(globals_,
          fmt::format("warning: {} has no number at {}, for the column '{}'",
                      experiment::answer_file(folder_, plan_.jobs[i]).string(), column->key, name));
    }
  }

  const Globals& globals_;
  const ExperimentArguments& arguments_;
  const experiment::Experiment& experiment_;
  const experiment::Plan& plan_;
  fs::path folder_;
  std::vector<State> states_;
  std::set<std::string> reported_;  // columns
  std::int64_t done_before_ = 0;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

nlohmann::ordered_json list_experiments(const Globals& globals) {
  answer(globals, list_of(embedded_experiments()));
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& [name, text] : embedded_experiments()) {
    list.push_back({{"name", name}, {"summary", config::preset_summary(text)}});
  }
  return {{"experiments", list}};
}

nlohmann::ordered_json show_plan(const Globals& globals, const experiment::Plan& plan) {
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& job : plan.jobs) {
    answer(globals, experiment::command_line(job.words));
    list.push_back({{"name", job.name}, {"command", job.words}});
  }
  return {{"commands", list}};
}

nlohmann::ordered_json run_experiment(const Globals& globals, const ExperimentArguments& a) {
  const Request request = read_request(a);
  auto experiment = experiment::parse_experiment(request.text, request.name, a.source);
  require_usage(std::isfinite(a.budget), "--budget as a number of minutes", "none",
                "say how many minutes of training, or leave it out");
  require_no_student(request.folder);
  require_usage(!is_run_folder(request.folder), "a folder of the experiment's own for --run",
                request.folder.string() + ": that of a training", "name another folder");
  Settled settled = chosen(a, request, experiment);
  auto plan = experiment::plan_of(experiment, request.folder, settled.choices);
  check_settings(experiment::plan_of(experiment, request.folder,
                                     {.seeds = settled.choices.seeds, .scale = 1, .settings = {}}),
                 settled.choices.settings, settled.budget > 0);
  check_trainings(plan);
  if (a.budget > 0) require_steps(experiment, request.folder, settled.choices);
  if (a.plan_only) {
    if (settled.budget > 0 && !settled.begun) {
      say(globals,
          "steps as without --budget, whose factor is measured when the experiment begins");
    }
    return show_plan(globals, plan);
  }
  for (const char* part : {"runs", "results", "logs"}) io::make_folder(request.folder / part);
  const RunLock lock(request.folder, RunLock::Kind::whole_run);
  const InterruptGuard guard;
  if (settled.budget > 0 && !settled.begun) {
    settled.choices.scale = scale_for_budget(globals, plan, request.folder, settled.budget * 60,
                                             a.machine.device, a.machine.threads, a.at_once);
    plan = experiment::plan_of(experiment, request.folder, settled.choices);
  }
  store_settings(request.folder, settled);
  io::write_file_atomically(request.folder / "experiment.toml", request.text);
  if (const auto& settings = settled.choices.settings; !settings.empty()) {
    experiment.text += fmt::format(" Here every training has {}.", fmt::join(settings, " "));
  }
  Execution execution(globals, a, experiment, plan, request.folder);
  execution.run();
  const auto table = execution.write_answer();
  answer(globals, experiment::markdown(experiment, table));
  const std::string page = (request.folder / "index.html").string();
  say(globals, "page: " + page);
  if (const auto failed = execution.failed(); !failed.empty()) {
    throw Error("every command of the experiment to succeed",
                fmt::format("{} failed: {}", failed.size(), fmt::join(failed, ", ")),
                "mend the cause, which stands above or in the logs, and give the same command "
                "again: what is done is kept");
  }
  if (!execution.finished()) say(globals, "stopped; the same command goes on from there");
  return {{"experiment", request.name},
          {"folder", request.folder.string()},
          {"outcome", execution.finished() ? "finished" : "interrupted"},
          {"seeds", settled.choices.seeds},
          {"scale", settled.choices.scale},
          {"settings", settled.choices.settings},
          {"page", page},
          {"rows", experiment::json(table)}};
}

}  // namespace

void add_experiment(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<ExperimentArguments>();
  ExperimentArguments& a = *arguments;
  CLI::App& command = add_command(
      program, globals, "experiment",
      "Train and measure a grid of models: one table, one page. The same command again resumes.",
      "  calor experiment                            what experiments there are\n"
      "  calor experiment samplers --budget 30\n"
      "  calor experiment stages --seeds 3 --at-once 2 --threads 1\n"
      "  calor experiment samplers photos/ data.size=32 --run mine   the same question of other "
      "data\n"
      "  calor experiment mine.toml --plan           the commands it would run");
  command.add_option("source", a.source, "named experiment, TOML file, or an experiment's folder");
  command.add_option("settings", a.settings,
                     "key=value settings of every training, over its own; a path: the data");
  command
      .add_option("--budget", a.budget,
                  "minutes of training in all: scales every number of steps alike, by a trial of "
                  "each training (default: the experiment's own steps)")
      ->check(CLI::Range(0.1, 1e6));
  command.add_option("--seeds", a.seeds, "trainings of each model, seeds 0, 1, ...")
      ->check(CLI::Range(1, 1000));
  command.add_option("--run", a.folder, "folder (default: experiments/NAME)");
  command.add_option("--at-once", a.at_once, "commands that run at the same time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_flag("--plan", a.plan_only, "print the commands and stop");
  a.machine.add_to(command);
  set_work(command, globals, [&globals, arguments] {
    return arguments->source.empty() ? list_experiments(globals)
                                     : run_experiment(globals, *arguments);
  });
}

}  // namespace calor::app
