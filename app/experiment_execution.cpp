#include "app/experiment_execution.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "calor/core/signals.h"
#include "calor/experiment/answers.h"
#include "calor/experiment/page.h"
#include "calor/io/atomic_file.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

Execution::Execution(const Globals& globals, const Machine& machine, std::int64_t at_once,
                     const experiment::Experiment& experiment, const experiment::Plan& plan,
                     fs::path folder)
    : globals_(globals),
      machine_(machine),
      at_once_(at_once),
      experiment_(experiment),
      plan_(plan),
      folder_(std::move(folder)),
      states_(plan.jobs.size(), State::waiting) {
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
    if (experiment::kept_answer(folder_, plan.jobs[i])) states_[i] = State::done;
  }
  done_before_ = count(State::done);
}

void Execution::run() {
  run_children(
      at_once_, [this] { return next(); },
      [this](std::size_t id, int status) { ended(id, status); });
}

experiment::Table Execution::write_answer() const {
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

std::vector<std::string> Execution::failed() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i] == State::failed) names.push_back(plan_.jobs[i].name);
  }
  return names;
}

std::int64_t Execution::count(State state) const { return std::ranges::count(states_, state); }

fs::path Execution::log_of(const experiment::Job& job) const {
  return folder_ / "logs" / (job.name + ".log");
}

fs::path Execution::output_of(const experiment::Job& job) const {
  return folder_ / "logs" / (job.name + ".json");
}

std::optional<ChildProcess> Execution::next() {
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

ChildProcess Execution::process_of(std::size_t i) {
  const auto& job = plan_.jobs[i];
  ChildProcess child{.id = i, .arguments = job.words, .output = output_of(job)};
  child.arguments.emplace_back("--json");
  const auto flags = machine_flags(job.words.front(), machine_);
  child.arguments.insert(child.arguments.end(), flags.begin(), flags.end());
  // Several bars in one terminal would be a mess.
  if (at_once_ > 1 || globals_.quiet) child.log = log_of(job);
  say(globals_,
      fmt::format("{} of {}: {}{}", count(State::done) + 1, states_.size(), job.name, time_left()));
  return child;
}

std::string Execution::time_left() const {
  const std::int64_t done = count(State::done);
  if (done == done_before_) return {};
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begun_;
  const auto left = static_cast<double>(static_cast<std::int64_t>(states_.size()) - done);
  return fmt::format(
      " (about {} left)",
      report::duration_text(spent.count() * left / static_cast<double>(done - done_before_)));
}

void Execution::ended(std::size_t i, int status) {
  const auto& job = plan_.jobs[i];
  const auto answer = nlohmann::ordered_json::parse(io::read_text(output_of(job)), nullptr, false);
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
    say(globals_,
        fmt::format("{} failed{}", job.name, at_once_ > 1 ? ": " + log_of(job).string() : ""));
  }
}

// Once for each column: a mistyped key would lack in every answer.
void Execution::report_missing(std::size_t i, const nlohmann::ordered_json& answer) {
  for (const auto& name : experiment::columns_without_number(experiment_, plan_, i, answer)) {
    if (!reported_.insert(name).second) continue;
    const auto column = std::ranges::find(experiment_.columns, name, &experiment::Column::name);
    say(globals_,
        fmt::format("warning: {} has no number at {}, for the column '{}'",
                    experiment::answer_file(folder_, plan_.jobs[i]).string(), column->key, name));
  }
}

}  // namespace calor::app
