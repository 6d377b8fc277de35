#include "calor/train/checkpoint_writer.h"

#include <ATen/ATen.h>

#include <utility>

namespace calor::train {
namespace {

// A copy, on the CPU, that further training does not touch.
at::Tensor copy_of(const at::Tensor& x) {
  return x.defined() ? x.detach().to(at::kCPU, x.scalar_type(), /*non_blocking=*/false,
                                     /*copy=*/true)
                     : x;
}

Checkpoint snapshot_of(const Checkpoint& c) {
  Checkpoint copy = c;
  copy.weights = copy_of(c.weights);
  copy.optimiser.first_moment = copy_of(c.optimiser.first_moment);
  copy.optimiser.second_moment = copy_of(c.optimiser.second_moment);
  copy.optimiser.ema = copy_of(c.optimiser.ema);
  copy.optimiser.ema2 = copy_of(c.optimiser.ema2);
  copy.best.weights = copy_of(c.best.weights);
  return copy;
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::filesystem::path run, std::int64_t keep)
    : run_(std::move(run)), keep_(keep) {}

CheckpointWriter::~CheckpointWriter() {
  if (writing_.valid()) writing_.wait();
}

void CheckpointWriter::begin(const Checkpoint& checkpoint) {
  finish();
  writing_ =
      std::async(std::launch::async, [run = run_, keep = keep_, copy = snapshot_of(checkpoint)] {
        save_checkpoint(run, copy, keep);
      });
}

void CheckpointWriter::finish() {
  if (writing_.valid()) writing_.get();
}

}  // namespace calor::train
