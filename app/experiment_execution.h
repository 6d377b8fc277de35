// The commands of an experiment at work: which are done, what happened to the others, and the
// table and page that follow.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/child_processes.h"
#include "app/command.h"
#include "calor/experiment/results.h"

namespace calor::app {

class Execution {
 public:
  // All are referred to. What `folder` has answers for is done already.
  Execution(const Globals& globals, const Machine& machine, std::int64_t at_once,
            const experiment::Experiment& experiment, const experiment::Plan& plan,
            std::filesystem::path folder);

  // Until nothing is left that can be run, or a signal asks for a stop.
  void run();
  // Writes the table, the plots and the page, as far as they are known.
  experiment::Table write_answer() const;

  // By name; those that needed them, too.
  std::vector<std::string> failed() const;
  bool finished() const { return count(State::done) == static_cast<std::int64_t>(states_.size()); }

 private:
  enum class State { waiting, running, done, failed };

  std::int64_t count(State state) const;
  std::filesystem::path log_of(const experiment::Job& job) const;
  std::filesystem::path output_of(const experiment::Job& job) const;
  std::optional<ChildProcess> next();
  ChildProcess process_of(std::size_t i);
  std::string time_left() const;
  void ended(std::size_t i, int status);
  void report_missing(std::size_t i, const nlohmann::ordered_json& answer);

  const Globals& globals_;
  const Machine& machine_;
  std::int64_t at_once_;
  const experiment::Experiment& experiment_;
  const experiment::Plan& plan_;
  std::filesystem::path folder_;
  std::vector<State> states_;
  std::set<std::string> reported_;  // columns
  std::int64_t done_before_ = 0;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace calor::app
