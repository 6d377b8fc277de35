// The particles between two stages: the data carried through the trained stages on its left, kept
// in a store.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/solve/ode.h"
#include "calor/train/particle_store.h"

namespace calor::train {

struct PushOptions {
  solve::OdeOptions ode;
  double t_eps = 1e-3;         // of stages that predict the clean item
  std::int64_t chunk = 32768;  // rows carried at a time
  ParticleStore store = ParticleStore::fp32;
};

// Carries every item of `left` through the stage, from its left end to its right one, into `file`
// (raw numbers, in order), and returns them as a set with the same labels and conditions. Each
// chunk is on disk, with its checksum in FILE.journal, before the next begins: interrupted at any
// moment, the same call goes on with the next chunk and ends with the same bytes.
// `weights_checksum` names the trained weights: Error where the file belongs to others. `progress`
// is told the rows done. Nothing is returned where a signal asked to stop.
std::shared_ptr<data::Dataset> push_particles(const flow::Flow& flow, std::size_t stage,
                                              const data::Dataset& left,
                                              const std::filesystem::path& file,
                                              const std::string& weights_checksum,
                                              const PushOptions& options,
                                              const std::function<void(std::int64_t)>& progress);

}  // namespace calor::train
