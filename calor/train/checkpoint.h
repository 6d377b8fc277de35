// The state of a run on disk: a folder a checkpoint, valid only with its manifest of checksums,
// which is written last. A crash at any moment leaves an older or a newer checkpoint whole.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "calor/train/optimiser.h"

namespace calor::train {

struct Progress {
  std::int64_t step = 0;       // steps done, bad ones included
  std::int64_t bad_steps = 0;  // in all
  std::int64_t bad_in_a_row = 0;
};

// The average that did best on the validation items.
struct Best {
  double loss = 0;
  std::int64_t step = 0;
  at::Tensor weights;  // [count], or undefined where there is no validation
};

struct Checkpoint {
  Progress progress;
  std::string data_fingerprint;
  at::Tensor weights;  // [count], fp32, CPU
  OptimiserState optimiser;
  Best best;
};

// RUN/checkpoints/0000000200. Writes it, then removes all but the newest `keep`, what was set aside
// up to its step, and any leftovers of interrupted writes.
void save_checkpoint(const std::filesystem::path& run, const Checkpoint& checkpoint,
                     std::int64_t keep);

// The newest checkpoint that is whole, tensors on the CPU; none where the run has no checkpoint. A
// damaged one is passed over with a warning in `warnings`. Error where there are checkpoints but
// none is whole.
std::optional<Checkpoint> load_newest_checkpoint(const std::filesystem::path& run,
                                                 std::string& warnings);

// Puts away the checkpoints after `step`, the one that load_newest_checkpoint has found: they are
// damaged, would count towards `keep` and never be written anew. Nothing is lost where only reading
// failed: as 0000000200.damaged each stays until a checkpoint of its step, or a later one, is
// whole. For a process that trains the run; others only read.
void set_aside_after(const std::filesystem::path& run, std::int64_t step);

// Whether a run of so many steps is not at its end by its newest checkpoint.
bool steps_left(const std::filesystem::path& run, std::int64_t steps);

}  // namespace calor::train
