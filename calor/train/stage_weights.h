// The weights that are kept of a trained stage, a file of its own beside the stage's checkpoints.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "calor/flow/flow.h"

namespace calor::train {

// FOLDER/weights.safetensors of a stage's folder; it is there once the stage is trained.
std::filesystem::path stage_weights_file(const std::filesystem::path& folder);

// `flat`: the weights in the order of the network's parameters.
void save_stage_weights(const std::filesystem::path& file, const at::Tensor& flat);
// Into the stage's network. Error where they are not as many as it has.
void load_stage_weights(const std::filesystem::path& file, flow::Flow& flow, std::size_t stage);

}  // namespace calor::train
