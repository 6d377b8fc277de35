// What the parts of calor evaluate share: what a person may say, and the two kinds of samples that
// are evaluated apart.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/precision_argument.h"
#include "app/run_argument.h"
#include "app/sampling_argument.h"
#include "calor/core/random.h"
#include "calor/data/open.h"

namespace calor::app {

struct EvaluateArguments {
  std::string samples, reference, split, held_out, classifier, plot, neighbours;
  std::string ema = "1", order = "shuffled";
  std::vector<std::string> features;  // files of classifiers, or "none" alone; empty: those found
  // 0: by what there is.
  std::int64_t count = 0, reference_count = 0;
  std::int64_t searched = -1;  // training pictures searched for copies; below 0: all of them
  std::int64_t blocks = 0, block_size = 1000, patch = 4, limit = 1024, seed = 0, batch = 100;
  bool no_cache = false;
  std::vector<std::string> settings;  // "data.KEY=value": how data without a model are read
  SaidFlags said;
  SamplingArgument sampling;
  PrecisionArgument precision;
  Machine machine;

  bool no_features() const { return features.size() == 1 && features[0] == "none"; }
  // Of the random choices that an evaluation makes, by their use.
  RandomKey key(std::uint64_t use) const {
    return random_key(static_cast<std::uint64_t>(seed), RandomUse::test).child(use);
  }
  // Data that no model says how to read, as the settings say.
  data::DataOptions data_options(const std::string& source) const;
};

// Whether the samples are to be drawn from a model: a run folder or a model file.
bool is_model(const std::string& path);

// Rows: of a model of points or of a table where `model` is given, else of a file.
nlohmann::ordered_json evaluate_rows(const Globals& globals, const EvaluateArguments& a,
                                     const RunModel* model);
// Pictures, likewise.
nlohmann::ordered_json evaluate_pictures(const Globals& globals, const EvaluateArguments& a,
                                         const RunModel* model);

// Error where a signal has asked to stop.
void stop_if_asked();

}  // namespace calor::app
