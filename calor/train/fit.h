// The loop from batches to weights: gradients in parts, the optimiser, averages, held-out items,
// checkpoints. Interruptible and resumable at every step; what is learnt is the deriving class's.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "calor/core/random.h"
#include "calor/core/workers.h"
#include "calor/data/dataset.h"
#include "calor/net/parameters.h"
#include "calor/train/checkpoint_writer.h"
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

class Fit;
class StageTrainer;

// Told what happens; training itself writes nothing to the terminal.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_start(const Fit& /*fit*/) {}
  virtual void on_step(const Fit& /*fit*/, const StepReport& /*report*/) {}
  virtual void on_bad_step(const StepReport& /*report*/, const data::Dataset& /*set*/,
                           std::span<const std::int64_t> /*batch_items*/) {}
  virtual void on_validation(const Fit& /*fit*/, double /*loss*/, bool /*best*/) {}
  virtual void on_checkpoint(StageTrainer& /*trainer*/) {}
  // A stage, or whatever else was trained, has come to its last step or was stopped.
  virtual void on_end(const Fit& /*fit*/) {}
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

// The items to learn from, and where the state is kept.
struct FitData {
  std::shared_ptr<const data::Dataset> set;
  std::shared_ptr<const data::Dataset> validation;  // none: no validation
  bool flip = false;                                // mirrors pictures at random
  std::filesystem::path folder;                     // holds checkpoints/; must exist
  std::string source;                               // of the set, for errors
};

class Fit {
 public:
  virtual ~Fit() = default;
  Fit(const Fit&) = delete;
  Fit& operator=(const Fit&) = delete;

  // Trains to the last step or until a signal asks to stop; either way everything is saved.
  Outcome run();

  // The weights to keep: the average with the best validation loss, or the last average
  // (train.keep; and where nothing is held out).
  const at::Tensor& final_weights() const;

  // The best loss on held-out items; NaN where there was none.
  double best_loss() const;

  bool is_finished() const { return progress_.step >= options_.steps; }
  const TrainOptions& options() const { return options_; }
  const Progress& progress() const { return progress_; }
  const data::Dataset& set() const { return *data_.set; }
  const std::filesystem::path& folder() const { return data_.folder; }
  const net::Parameters& parameters() const { return parameters_; }
  // Of what this is a part, for people: "stage 1 of 3: "; empty where it is all.
  virtual std::string title() const { return {}; }

 protected:
  // `parameters` must outlive this; begin() comes before run().
  Fit(const TrainOptions& options, net::Parameters& parameters, at::Device device, FitData data,
      TrainObserver& observer);

  // Draws the weights (or takes `warm_start` where it has as many), or takes up the newest
  // checkpoint. Error where the data are not the ones that it began with.
  void begin(const at::Tensor& warm_start);

  // The mean loss of keys.size() items of the batch, the first of them number `start`,
  // differentiable where `training`; what is random about an item follows its key.
  virtual at::Tensor batch_loss(const data::Batch& batch, std::int64_t start,
                                std::span<const RandomKey> keys, bool training) = 0;
  // Whether batch_loss() may run for several parts of a batch at a time.
  virtual bool parts_are_independent() const = 0;
  // The streams of random numbers for each use.
  virtual RandomKey key_of(RandomUse use) const;
  virtual std::uint64_t order_seed() const { return static_cast<std::uint64_t>(options_.seed); }
  // Called while a checkpoint is written.
  virtual void on_saved() {}

  at::Device device() const { return device_; }
  TrainObserver& observer() const { return observer_; }
  // Its second average, of the last step.
  const at::Tensor& second_average() const { return optimiser_.ema2; }

 private:
  StepReport step(const data::Batch& batch);
  std::int64_t parts_of(std::int64_t size) const;
  double gradients_within_memory(const data::Batch& batch);
  bool halve_micro_batch(std::int64_t size);
  double accumulate_gradients(const data::Batch& batch);
  double accumulate_part(const data::Batch& batch, std::int64_t first, std::int64_t count,
                         const std::function<void(const at::Tensor&)>& add_gradient);
  void validate();
  double validation_loss();
  void save();
  void take_up(const Checkpoint& checkpoint);

  TrainOptions options_;
  net::Parameters& parameters_;
  at::Device device_;
  FitData data_;
  TrainObserver& observer_;
  OptimiserState optimiser_;
  Progress progress_;
  Best best_;
  std::int64_t micro_batch_;          // of each part; 0: all of it. Halved where memory is refused
  std::unique_ptr<Workers> workers_;  // of the parts of a batch; made when first needed
  CheckpointWriter writer_;
};

}  // namespace calor::train
