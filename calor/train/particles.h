// The particles between two stages: the data carried through the trained stages on its left, kept
// in a store.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "calor/core/random.h"
#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/solve/ode.h"
#include "calor/train/particle_store.h"

namespace calor::train {

struct PushOptions {
  solve::OdeOptions ode;
  double t_eps = 1e-3;         // of stages that predict the clean item
  RandomKey noise;             // of what they begin with
  std::int64_t chunk = 32768;  // rows carried at a time
  ParticleStore store = ParticleStore::fp32;
};

// Carries every item of `left` through the stage, from its left end to its right one, into `file`
// (raw numbers, in order), and returns them as a set with the same labels and conditions. A stage
// that predicts the clean item has a velocity from s = t_eps on only: there its particles are drawn
// from its own path, given the item, which is their law exactly. Without that noise, what does not
// vary in the data (a black background) would stay without any: a flow is a map. Each
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
