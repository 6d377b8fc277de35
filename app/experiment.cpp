// calor experiment: a grid of trainings and what they come to, in one table and one page.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include "app/command.h"
#include "app/experiment_budget.h"
#include "app/experiment_execution.h"
#include "app/experiment_start.h"
#include "app/experiment_trainings.h"
#include "app/run_lock.h"
#include "app/static_answers.h"
#include "app/train_request.h"
#include "calor/config/presets.h"
#include "calor/core/command_line.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

struct ExperimentArguments {
  ExperimentRequest request;
  std::int64_t at_once = 1;
  bool plan_only = false;
  SaidFlags said;
  Machine machine;
};

// All that an experiment comes to before anything is run.
struct Prepared {
  ExperimentText text;
  experiment::Experiment experiment;
  Settled settled;
  experiment::Plan plan;
};

experiment::Plan plan_of(const Prepared& p) {
  return experiment::plan_of(p.experiment, p.text.folder, p.settled.choices);
}

void check_folder(const fs::path& folder) {
  require_no_student(folder);
  require_usage(!is_run_folder(folder), "a folder of the experiment's own for --run",
                folder.string() + ": that of a training", "name another folder");
}

// A budget has no say over steps that are not written {steps:N}.
void require_steps(const Prepared& p) {
  const auto words_at = [&](double scale) {
    experiment::Choices choices = p.settled.choices;
    choices.scale = scale;
    std::vector<std::vector<std::string>> all;
    for (const auto& job : experiment::plan_of(p.experiment, p.text.folder, choices).jobs) {
      all.push_back(job.words);
    }
    return all;
  };
  if (words_at(1) != words_at(1e-9)) return;
  throw usage_error("numbers of training steps that --budget can change: {steps:N}",
                    "none in the experiment " + p.experiment.name,
                    "write train.steps={steps:N} in its commands, or leave --budget out");
}

// Trainings that do not know the seed would be one training, several times.
void require_seeded(const experiment::Experiment& experiment, std::int64_t seeds) {
  for (const auto& making : experiment.makings) {
    if (seeds == 1 || !making.command.starts_with("train") ||
        making.command.find("{seed}") != std::string::npos) {
      continue;
    }
    throw usage_error("train.seed={seed} in the trainings of an experiment with several seeds",
                      making.command, "add it, or take --seeds 1");
  }
}

// Everything that can be wrong with a request is found here.
Prepared prepare(ExperimentRequest request) {
  request.settings = settings_of(request.settings);  // a word that names data could be the second
  Prepared p{.text = read_experiment(request), .experiment = {}, .settled = {}, .plan = {}};
  p.experiment = experiment::parse_experiment(p.text.text, p.text.name, request.source);
  check_folder(p.text.folder);
  p.settled = settle(request, p.text, p.experiment);
  const auto& choices = p.settled.choices;
  require_seeded(p.experiment, choices.seeds);
  const auto without_settings = experiment::plan_of(
      p.experiment, p.text.folder, {.seeds = choices.seeds, .scale = 1, .settings = {}});
  check_settings(without_settings, choices.settings, p.settled.budget > 0);
  p.plan = plan_of(p);
  check_trainings(p.plan);
  if (request.budget > 0) require_steps(p);
  return p;
}

nlohmann::ordered_json list_experiments(const Globals& globals, const SaidFlags& said) {
  said.refuse({"--budget", "--seeds", "--run", "--at-once", "--plan", "--device", "--threads"},
              "an experiment", "none is named");
  answer(globals, list_of(embedded_experiments()));
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& [name, text] : embedded_experiments()) {
    list.push_back({{"name", name}, {"summary", config::preset_summary(text)}});
  }
  return {{"experiments", list}};
}

nlohmann::ordered_json show_plan(const Globals& globals, const Prepared& p) {
  if (p.settled.budget > 0 && !p.settled.begun) {
    say(globals, "steps as without --budget, whose factor is measured when the experiment begins");
  }
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& job : p.plan.jobs) {
    answer(globals, command_line(job.words));
    list.push_back({{"name", job.name}, {"command", job.words}});
  }
  return {{"commands", list}};
}

// Settles what is still open, and writes down what the experiment is.
void begin(const Globals& globals, const ExperimentArguments& a, Prepared& p) {
  const fs::path& folder = p.text.folder;
  Settled& settled = p.settled;
  if (settled.budget > 0 && !settled.begun) {
    settled.choices.scale = scale_for_budget(globals, p.plan, folder, settled.budget * 60,
                                             a.machine.device, a.machine.threads, a.at_once);
    p.plan = plan_of(p);
  }
  store(folder, settled);
  io::write_file_atomically(folder / "experiment.toml", p.text.text);
  if (const auto& settings = settled.choices.settings; !settings.empty()) {
    p.experiment.text += fmt::format(" Here every training has {}.", fmt::join(settings, " "));
  }
}

nlohmann::ordered_json run_experiment(const Globals& globals, const ExperimentArguments& a) {
  Prepared p = prepare(a.request);
  if (a.plan_only) return show_plan(globals, p);
  const fs::path& folder = p.text.folder;
  for (const char* part : {"runs", "results", "logs"}) io::make_folder(folder / part);
  const RunLock lock(folder, RunLock::Kind::whole_run);
  const InterruptGuard guard;
  begin(globals, a, p);
  Execution execution(globals, a.machine, a.at_once, p.experiment, p.plan, folder);
  execution.run();
  const auto table = execution.write_answer();
  answer(globals, experiment::markdown(p.experiment, table));
  const std::string page = (folder / "index.html").string();
  say(globals, "page: " + page);
  if (const auto failed = execution.failed(); !failed.empty()) {
    throw Error("every command of the experiment to succeed",
                fmt::format("{} failed: {}", failed.size(), fmt::join(failed, ", ")),
                "mend the cause, which stands above or in the logs, and give the same command "
                "again: what is done is kept");
  }
  if (!execution.finished()) say(globals, "stopped; the same command goes on from there");
  return {{"experiment", p.text.name},
          {"folder", folder.string()},
          {"outcome", execution.finished() ? "finished" : "interrupted"},
          {"seeds", p.settled.choices.seeds},
          {"scale", p.settled.choices.scale},
          {"settings", p.settled.choices.settings},
          {"page", page},
          {"rows", experiment::json(table)}};
}

}  // namespace

void add_experiment(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<ExperimentArguments>();
  ExperimentArguments& a = *arguments;
  ExperimentRequest& r = a.request;
  CLI::App& command = add_command(
      program, globals, "experiment",
      "Train and measure a grid of models: one table, one page. The same command again resumes.",
      "  calor experiment                            what experiments there are\n"
      "  calor experiment samplers --budget 30\n"
      "  calor experiment stages --seeds 3 --at-once 2 --threads 1\n"
      "  calor experiment samplers photos/ data.size=32 --run mine   the same question of other "
      "data\n"
      "  calor experiment mine.toml --plan           the commands it would run");
  command.add_option("source", r.source, "named experiment, TOML file, or an experiment's folder");
  command.add_option("settings", r.settings,
                     "key=value settings of every training, over its own; a path: the data");
  command
      .add_option("--budget", r.budget,
                  "minutes of training in all: scales every number of steps alike, by a trial of "
                  "each training (default: the experiment's own steps)")
      ->check(CLI::Range(0.1, 1e6));
  command.add_option("--seeds", r.seeds, "trainings of each model, seeds 0, 1, ...")
      ->check(CLI::Range(1, 1000));
  command.add_option("--run", r.folder, "folder (default: experiments/NAME)");
  command.add_option("--at-once", a.at_once, "commands that run at the same time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_flag("--plan", a.plan_only, "print the commands and stop");
  a.machine.add_to(command);
  a.said = SaidFlags(command);
  set_work(command, globals, [&globals, arguments] {
    return arguments->request.source.empty() ? list_experiments(globals, arguments->said)
                                             : run_experiment(globals, *arguments);
  });
}

}  // namespace calor::app
