// Training: the loop from batches to weights, interruptible and resumable at every step.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "calor/data/dataset.h"
#include "calor/data/loader.h"
#include "calor/flow/flow.h"
#include "calor/flow/model_file.h"
#include "calor/train/checkpoint.h"
#include "calor/train/run_config.h"

namespace calor::train {

// One step as it was: for logs and progress bars.
struct StepReport {
  std::int64_t step = 0;  // steps done, this one included
  double loss = 0;        // of the batch; not finite on a bad step
  double gradient_norm = 0;
  double lr = 0;
  bool bad = false;  // nothing was changed by it
};

class Trainer;

// Told what happens; the trainer itself writes nothing to the terminal.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_start(const Trainer& /*trainer*/) {}
  virtual void on_step(const Trainer& /*trainer*/, const StepReport& /*report*/) {}
  virtual void on_bad_step(const StepReport& /*report*/, const data::ImageDataset& /*set*/,
                           std::span<const std::int64_t> /*batch_items*/) {}
  virtual void on_checkpoint(Trainer& /*trainer*/) {}
  virtual void on_warning(const std::string& /*text*/) {}
};

enum class Outcome { finished, interrupted };

class Trainer {
 public:
  // Prepares a run in `folder` (which must exist): draws the weights, or takes up the newest
  // checkpoint. `config` must be definite (resolve_automatic). Error where the data set is not the
  // one that the run began with.
  Trainer(const RunConfig& config, std::shared_ptr<const data::ImageDataset> set,
          std::filesystem::path folder, at::Device device, TrainObserver& observer);

  // Trains to the last step or until a signal asks to stop; either way everything is saved.
  Outcome run();

  // Runs `use` with an average in place of the weights (for sample grids).
  void with_average(const std::function<void(flow::Flow&)>& use);

  const RunConfig& config() const { return config_; }
  const flow::Flow& flow() const { return flow_; }
  const Progress& progress() const { return progress_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  StepReport step(const data::Batch& batch);
  double accumulate_gradients(const data::Batch& batch);
  at::Tensor batch_loss(const at::Tensor& x, const at::Tensor& labels,
                        std::span<const RandomKey> keys);
  at::Tensor drop_labels(const at::Tensor& labels, std::span<const RandomKey> keys) const;
  void save();
  void take_up(const Checkpoint& checkpoint);

  RunConfig config_;
  std::shared_ptr<const data::ImageDataset> set_;
  std::filesystem::path folder_;
  at::Device device_;
  TrainObserver& observer_;
  flow::Flow flow_;
  OptimiserState optimiser_;
  Progress progress_;
};

// The notes that travel in the run's model file.
flow::Notes model_notes(const RunConfig& config, std::int64_t step);

}  // namespace calor::train
