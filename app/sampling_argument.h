// The flags of commands that draw samples: how a model's own settings of sampling are changed.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"
#include "app/run_argument.h"
#include "calor/solve/generate.h"

namespace calor::app {

class SamplingArgument {
 public:
  // --steps, --solver, --grid, --guidance, --guidance-interval, --t-eps, --rtol and --atol. This
  // must outlive the command.
  void add_to(CLI::App& command);
  // The model's settings with what the flags say in their place. UsageError where one of them has
  // no say.
  solve::GenerateOptions options(const RunModel& model) const;

 private:
  std::vector<std::string> settings_;  // "sample.KEY=value"
  SaidFlags said_;
};

// UsageError where a flag of sampling was given that has no say in how this flow is sampled.
void check_said(const SaidFlags& said, const flow::Flow& flow,
                const solve::GenerateOptions& options);

// For people: the solver's name; "map" for a student, whose stages no solver integrates.
std::string solver_text(const RunModel& model, const solve::GenerateOptions& options);

}  // namespace calor::app
