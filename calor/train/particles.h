// The particles between two stages: the data carried through the trained stages on its left, kept
// in a file that is mapped into memory, so that a set may be larger than memory and a killed run
// goes on where it was.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/solve/ode.h"

namespace calor::train {

// fp16 halves the store: its rounding is below an 8-bit step for pictures in [-1, 1] and their
// noise, but not for the tails of tables.
enum class ParticleStore { fp32, fp16 };

struct PushOptions {
  solve::OdeOptions ode;
  double t_eps = 1e-3;         // of stages that predict the clean item
  std::int64_t chunk = 32768;  // rows carried at a time
  ParticleStore store = ParticleStore::fp32;
};

// Rows carried at a time where an item is this many numbers, so that the solver's states stay
// small: at most 2^20 numbers, and 64 to 32,768 rows.
std::int64_t push_chunk_rows(std::int64_t numbers);

// Carries every item of `left` through the stage, from its left end to its right one, into `file`
// (raw numbers, in order), and returns them as a set with the same labels and conditions. Each chunk
// is on disk, with its checksum in FILE.journal, before the next begins: interrupted at any moment,
// the same call goes on with the next chunk and ends with the same bytes. `weights_checksum` names
// the trained weights: Error where the file belongs to others. `progress` is told the rows done.
// Nothing is returned where a signal asked to stop.
std::shared_ptr<data::Dataset> push_particles(const flow::Flow& flow, std::size_t stage,
                                              const data::Dataset& left,
                                              const std::filesystem::path& file,
                                              const std::string& weights_checksum,
                                              const PushOptions& options,
                                              const std::function<void(std::int64_t)>& progress);

}  // namespace calor::train
