#include "calor/train/classifier_config.h"

namespace calor::train {

config::Options ClassifierConfig::options() {
  config::Options options;
  data.declare(options);
  network.declare(options);
  options.add("classifier.shift", shift, {0, 1024}, "pixels",
              "pictures are moved by up to so many pixels each way while training");
  options.add("classifier.smoothing", smoothing, {0, 0.9}, "share",
              "of the wanted probability that is spread over all classes");
  train.declare_loop(options);
  return options;
}

bool configures_classifier(std::string_view toml, const std::string& origin) {
  return config::has_section(toml, "classifier", origin);
}

ClassifierConfig parse_classifier_config(std::string_view toml, const std::string& origin,
                                         const std::vector<std::string>& settings) {
  ClassifierConfig config;
  config::Options options = config.options();
  options.load_toml(toml, origin);
  for (const auto& setting : settings) options.assign(setting, "command line");
  return config;
}

ClassifierConfig merge_for_resume(const ClassifierConfig& stored, const ClassifierConfig& requested,
                                  bool override_changes, const std::string& run) {
  ClassifierConfig wanted = requested;
  ClassifierConfig before = stored;
  settle_as_before(wanted.train, before.train);
  if (!override_changes) require_unchanged(before.options(), wanted.options(), run);
  return wanted;
}

}  // namespace calor::train
