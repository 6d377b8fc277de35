// The configuration of a classifier's training: data, network, what is random about its pictures,
// and the loop, whose options are those of every training.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/open.h"
#include "calor/net/picture_classifier.h"
#include "calor/train/run_config.h"

namespace calor::train {

struct ClassifierConfig {
  data::DataOptions data;  // data.validation of each class is held out
  net::PictureClassifierOptions network;
  std::int64_t shift = 2;   // pictures are moved by up to so many pixels either way
  double smoothing = 0.05;  // share of the wanted probability that is spread over all classes
  TrainOptions train;

  ClassifierConfig() = default;
  ClassifierConfig(const ClassifierConfig&) = default;
  ClassifierConfig& operator=(const ClassifierConfig&) = default;

  // The declarations, bound to this object's fields; valid while it lives.
  config::Options options();
};

// Whether a TOML text configures a classifier: it has a section [classifier].
bool configures_classifier(std::string_view toml, const std::string& origin);

// As parse_config and merge_for_resume (run_config.h) for flows.
ClassifierConfig parse_classifier_config(std::string_view toml, const std::string& origin,
                                         const std::vector<std::string>& settings);
ClassifierConfig merge_for_resume(const ClassifierConfig& stored, const ClassifierConfig& requested,
                                  bool override_changes, const std::string& run);

}  // namespace calor::train
