// What an experiment is begun with, and goes on with: its text, its folder, and what was settled
// once for all of its trainings.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "calor/experiment/experiment.h"
#include "calor/experiment/plan.h"

namespace calor::app {

// What a person says.
struct ExperimentRequest {
  std::string source, folder;         // folder: --run, or empty
  std::vector<std::string> settings;  // of every training
  double budget = 0;                  // minutes of training in all; 0: the experiment's own steps
  std::int64_t seeds = 0;             // 0: the experiment's own
};

struct ExperimentText {
  std::string name, text;
  std::filesystem::path folder;
};

// The experiment that `source` names: one that is built in, a TOML file, or a folder that has
// begun. UsageError where it is none of these.
ExperimentText read_experiment(const ExperimentRequest& request);

// What holds for all of an experiment from its beginning on; kept in the folder's plan.json.
struct Settled {
  experiment::Choices choices;
  double budget = 0;   // minutes
  bool begun = false;  // and so found in the folder
};

// What the folder began with; what a new one begins with, before its budget is known. UsageError
// where the request asks for something else.
Settled settle(const ExperimentRequest& request, const ExperimentText& text,
               const experiment::Experiment& experiment);
void store(const std::filesystem::path& folder, const Settled& settled);

}  // namespace calor::app
