#include "app/experiment_trainings.h"

#include <algorithm>

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

}  // namespace calor::app
