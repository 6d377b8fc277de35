// A trained model as one safetensors file: the weights under the official names, and in the
// metadata everything needed to use them (architecture, path, stages, items, normalisation).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calor/flow/flow.h"

namespace calor::flow {

// The model file of a run folder, or the file itself where `run` is one. Error where there is none
// yet, with what to do.
std::filesystem::path model_file_of(const std::filesystem::path& run);

// Text about the model that travels along, beyond what the flow itself needs: for instance
// "calor.sample" (default sampling settings as TOML), "calor.training" (the run's configuration).
using Notes = std::map<std::string, std::string>;

// Writes atomically. `flat`: for each stage the weights in the order of its network's parameters
// (an EMA), or undefined for the network's own; empty: all the networks' own.
void save_model(const std::filesystem::path& file, const Flow& flow, const Notes& notes,
                const std::vector<at::Tensor>& flat = {});

struct LoadedModel {
  std::unique_ptr<Flow> flow;
  Notes notes;
};
// Error where the file is no model of Calor (and how to make it one), damaged, or its tensors do
// not fit its description.
LoadedModel load_model(const std::filesystem::path& file, at::Device device);

// The description alone, without reading the weights.
struct ModelDescription {
  ModelOptions options;
  data::ItemSpec items;
  Notes notes;
};
ModelDescription read_description(const std::filesystem::path& file);

}  // namespace calor::flow
