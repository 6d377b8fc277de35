// Checkpoints written while training goes on: a snapshot is taken at once, the files come from
// another thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>

#include "calor/train/checkpoint.h"

namespace calor::train {

class CheckpointWriter {
 public:
  // Of a run, or a stage's folder; the newest `keep` stay.
  CheckpointWriter(std::filesystem::path run, std::int64_t keep);
  // Waits; what went wrong is told by finish() alone.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Copies the checkpoint to the CPU and begins to write it, after the one before is whole. Error
  // where that one could not be written.
  void begin(const Checkpoint& checkpoint);
  // Returns when everything is on disk. Error where it could not be written.
  void finish();

 private:
  std::filesystem::path run_;
  std::int64_t keep_;
  std::future<void> writing_;
};

}  // namespace calor::train
