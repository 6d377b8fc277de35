// What a person may say to calor restore, and how it becomes options.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/precision_argument.h"
#include "app/run_argument.h"
#include "calor/restore/measurement.h"
#include "calor/solve/generate.h"

namespace calor::app {

struct RestoreArguments {
  std::string run, mask, label = "none", ema = "1", out = "restored.png";
  std::vector<std::string> pictures;  // files or folders; with simulate also one known set
  bool simulate = false, fixed = false;
  std::int64_t count = 16, samples = 8, calibration = 64, reference = 5000, seed = 0, batch = 64;
  PrecisionArgument precision;
  SaidFlags said;
  Machine machine;

  void add_to(CLI::App& command);
  // UsageError where a flag has no say in the task, where --out is no FILE.png or .npy or is one of
  // the files that are read. Before any work is done.
  void check() const;
  // Whether the pictures of --simulate are drawn from a data set.
  bool draws_from_set() const;
  // UsageError where a guidance other than 1 was asked for, for pictures of no class.
  void check_unguided(double guidance) const;
  restore::MeasurementOptions measurement() const;
  // 40 ancestral steps, equal in log(A/S), with the model's guidance, but for what was said on the
  // command line.
  solve::GenerateOptions sampling(const RunModel& model) const;

 private:
  std::vector<std::string> sampling_settings_, measurement_settings_;  // "KEY=value", by the flags
};

}  // namespace calor::app
