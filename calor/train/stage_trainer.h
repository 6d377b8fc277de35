// Training of one stage: the loop from batches to weights, interruptible and resumable at every
// step.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "calor/core/workers.h"
#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/train/checkpoint_writer.h"
#include "calor/train/lesson.h"
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

class StageTrainer;

// Told what happens; training itself writes nothing to the terminal.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_start(const StageTrainer& /*trainer*/) {}
  virtual void on_step(const StageTrainer& /*trainer*/, const StepReport& /*report*/) {}
  virtual void on_bad_step(const StepReport& /*report*/, const data::Dataset& /*set*/,
                           std::span<const std::int64_t> /*batch_items*/) {}
  virtual void on_validation(const StageTrainer& /*trainer*/, double /*loss*/, bool /*best*/) {}
  virtual void on_checkpoint(StageTrainer& /*trainer*/) {}
  virtual void on_stage_end(const StageTrainer& /*trainer*/) {}
  // Particles carried through a trained stage: `done` of `total` rows.
  virtual void on_push(std::size_t /*stage*/, std::int64_t /*done*/, std::int64_t /*total*/) {}
  // States that a student learns from, `what` in words: `done` of `total` items.
  virtual void on_states(const std::string& /*what*/, std::int64_t /*done*/,
                         std::int64_t /*total*/) {}
  // What is trained next, in words.
  virtual void on_phase(const std::string& /*what*/) {}
  virtual void on_warning(const std::string& /*text*/) {}
};

enum class Outcome { finished, interrupted };

// What is to be trained, from what, and where it is kept.
struct StageTask {
  std::size_t stage = 0;
  std::shared_ptr<const data::Dataset> set;
  std::shared_ptr<const data::Dataset> validation;  // none: no validation
  // What it learns of the rows of `set` and `validation`; none: the objective on its path.
  std::shared_ptr<const Lesson> lesson = {};
  std::filesystem::path folder = {};  // holds checkpoints/; must exist
  // The weights to begin with, where training has not begun yet; undefined: drawn.
  at::Tensor warm_start;
  // Called at each checkpoint, while it is written, before the observer.
  std::function<void(StageTrainer&)> publish;
};

class StageTrainer {
 public:
  // Draws the weights, or takes up the newest checkpoint. `config` must be definite
  // (resolve_automatic). Error where the data are not the ones that the stage began with. The flow
  // must outlive this.
  StageTrainer(const RunConfig& config, flow::Flow& flow, StageTask task, TrainObserver& observer);

  // Trains to the last step or until a signal asks to stop; either way everything is saved.
  Outcome run();

  // Runs `use` with the weights that will be kept in place of the last step's (for sample grids).
  void with_average(const std::function<void(flow::Flow&)>& use);

  // The weights to keep: the average with the best validation loss, or the last average
  // (train.keep; and where nothing is held out).
  const at::Tensor& final_weights() const;

  // The best loss on held-out items; NaN where there was none.
  double best_loss() const;

  bool is_finished() const { return progress_.step >= config_.train.steps; }
  const RunConfig& config() const { return config_; }
  const flow::Flow& flow() const { return flow_; }
  std::size_t stage_index() const { return task_.stage; }
  const data::Dataset& set() const { return *task_.set; }
  const Progress& progress() const { return progress_; }
  const std::filesystem::path& folder() const { return task_.folder; }

 private:
  StepReport step(const data::Batch& batch);
  std::int64_t parts_of(std::int64_t size) const;
  double accumulate_gradients(const data::Batch& batch);
  double accumulate_part(const data::Batch& batch, std::int64_t first, std::int64_t count,
                         const std::function<void(const at::Tensor&)>& add_gradient);
  at::Tensor batch_loss(const data::Batch& batch, std::int64_t start,
                        std::span<const RandomKey> keys, bool training);
  at::Tensor lesson_loss(const data::Batch& batch, std::int64_t start,
                         std::span<const RandomKey> keys, bool training);
  at::Tensor drop_labels(const at::Tensor& labels, std::span<const RandomKey> keys) const;
  RandomKey stage_key(RandomUse use) const;
  void validate();
  double validation_loss();
  void save();
  void take_up(const Checkpoint& checkpoint);

  RunConfig config_;
  flow::Flow& flow_;
  flow::Stage& stage_;
  StageTask task_;
  at::Device device_;
  TrainObserver& observer_;
  OptimiserState optimiser_;
  Progress progress_;
  Best best_;
  std::unique_ptr<Workers> workers_;  // of the parts of a batch; made when first needed
  CheckpointWriter writer_;
};

}  // namespace calor::train
