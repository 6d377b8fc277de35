// The trainings among an experiment's commands, and what they ask for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/train_request.h"
#include "calor/experiment/plan.h"

namespace calor::app {

bool is_training(const experiment::Job& job);

// What a training asks for: its source, and its settings up to the first flag. UsageError where it
// names no source.
RequestText training_request(const experiment::Job& job);

// How long a training is.
struct TrainingLength {
  bool chain = false;
  std::int64_t steps = 0;  // over all stages
};
TrainingLength training_length(const experiment::Job& job);

// UsageError where a training has a preset, a key or a value that there is not, so that it shows
// before anything is trained.
void check_trainings(const experiment::Plan& plan);

// UsageError where a setting of every training is one that the experiment varies itself, in the
// commands of `plan`, made without settings: its rows would be of one model. `budget`: whether
// steps are to be multiplied.
void check_settings(const experiment::Plan& plan, const std::vector<std::string>& settings,
                    bool budget);

}  // namespace calor::app
