// A RUN argument: a run folder or a lone model file, and which of its weights to use.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "calor/flow/model_file.h"

namespace CLI {
class App;
}

namespace calor::app {

struct RunModel {
  std::unique_ptr<flow::Flow> flow;
  flow::Notes notes;
  std::filesystem::path file;
};

// The flag --ema, for open_run.
void add_ema(CLI::App& command, std::string& ema);

// `ema`: "1" (the model file's weights), "2" or "off" (from the run's newest checkpoint).
RunModel open_run(const std::filesystem::path& run, const std::string& ema, at::Device device);

// UsageError where the model is a policy, which only environments can measure.
void require_no_policy(const RunModel& model);

}  // namespace calor::app
