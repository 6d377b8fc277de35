// calor train classifier-*: from labelled pictures to a classifier; the same command again resumes.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/train_request.h"

namespace calor::app {

// The answer of calor train. Error where the data are no labelled pictures.
nlohmann::ordered_json train_classifier(const Globals& globals, const RequestText& request,
                                        bool override_changes, at::Device device);

}  // namespace calor::app
