// What a person asks `calor train` (and `calor bench`) to train: a preset, a TOML file or a run
// folder, and settings over it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "calor/train/run_config.h"

namespace calor::app {

struct TrainRequest {
  train::RunConfig config;
  std::filesystem::path run;  // runs/NAME, or the run folder itself, where `run` is empty
};

// A word among the settings that is no key=value names the data. UsageError where the source is
// neither, or a setting is wrong.
TrainRequest read_train_request(const std::string& source, const std::vector<std::string>& settings,
                                const std::string& run);

// Whether a folder holds a run that has begun.
bool is_run_folder(const std::filesystem::path& path);

}  // namespace calor::app
