#include "app/experiment_trainings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "calor/core/error.h"
#include "calor/train/classifier_config.h"

namespace calor::app {

bool is_training(const experiment::Job& job) { return job.words.front() == "train"; }

RequestText training_request(const experiment::Job& job) {
  const auto flag = [](const std::string& word) { return word.starts_with("--"); };
  const auto end = std::ranges::find_if(job.words, flag);
  if (end - job.words.begin() < 2) {
    throw usage_error("a preset or a file after 'train'", "none for the run " + job.name,
                      "name one in the experiment's file");
  }
  return read_request(job.words[1], {job.words.begin() + 2, end}, "");
}

TrainingLength training_length(const experiment::Job& job) {
  const RequestText request = training_request(job);
  if (train::configures_classifier(request.toml, request.origin)) {
    const auto config =
        train::parse_classifier_config(request.toml, request.origin, request.settings);
    return {.chain = false, .steps = config.train.steps};
  }
  const auto config = read_train_request(request).config;
  const auto& stages = config.model.stages;
  const std::size_t count = stages.is_chain() ? flow::stage_steps(stages).size() : 1;
  return {.chain = stages.is_chain(),
          .steps = static_cast<std::int64_t>(count) * config.train.steps};
}

void check_trainings(const experiment::Plan& plan) {
  for (const auto& job : plan.jobs) {
    if (is_training(job)) training_length(job);
  }
}

namespace {

std::string key_of(const std::string& setting) { return setting.substr(0, setting.find('=')); }

// The different values that the plan's trainings give a key; "" where one gives none.
std::set<std::string> values_of(const experiment::Plan& plan, const std::string& key) {
  std::set<std::string> values;
  for (const auto& job : plan.jobs) {
    if (!is_training(job)) continue;
    std::string value;
    for (const auto& setting : training_request(job).settings) {
      if (key_of(setting) == key) value = setting.substr(key.size() + 1);
    }
    values.insert(value);
  }
  return values;
}

}  // namespace

void check_settings(const experiment::Plan& plan, const std::vector<std::string>& settings,
                    bool budget) {
  for (const auto& setting : settings_of(settings)) {
    const std::string key = key_of(setting);
    const auto refuse = [&](const std::string& found, const std::string& hint) {
      throw usage_error("settings that the experiment does not vary itself",
                        fmt::format("{}: {}", key, found), hint);
    };
    if (key == "train.seed") refuse("the seeds are the experiment's", "say --seeds K");
    if (key == "train.steps" && budget) {
      refuse("--budget multiplies the experiment's own", "leave one of them out");
    }
    if (const auto values = values_of(plan, key); values.size() > 1) {
      refuse(fmt::format("its rows have {}", fmt::join(values, ", ")),
             "leave it out, or change the experiment's file (docs/experiments.md)");
    }
  }
}

}  // namespace calor::app
