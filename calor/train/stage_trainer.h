// Training of one stage of a flow.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/train/fit.h"
#include "calor/train/lesson.h"
#include "calor/train/run_config.h"

namespace calor::train {

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

class StageTrainer final : public Fit {
 public:
  // Draws the weights, or takes up the newest checkpoint. `config` must be definite
  // (resolve_automatic). Error where the data are not the ones that the stage began with. The flow
  // must outlive this.
  StageTrainer(const RunConfig& config, flow::Flow& flow, StageTask task, TrainObserver& observer);

  // Runs `use` with the weights that will be kept in place of the last step's (for sample grids).
  void with_average(const std::function<void(flow::Flow&)>& use);

  const RunConfig& config() const { return config_; }
  const flow::Flow& flow() const { return flow_; }
  std::size_t stage_index() const { return task_.stage; }
  std::string title() const override;

 protected:
  at::Tensor batch_loss(const data::Batch& batch, std::int64_t start,
                        std::span<const RandomKey> keys, bool training) override;
  bool parts_are_independent() const override;
  RandomKey key_of(RandomUse use) const override;
  std::uint64_t order_seed() const override;
  void on_saved() override;

 private:
  at::Tensor lesson_loss(const data::Batch& batch, std::int64_t start,
                         std::span<const RandomKey> keys, bool training);
  at::Tensor drop_labels(const at::Tensor& labels, std::span<const RandomKey> keys) const;

  RunConfig config_;
  flow::Flow& flow_;
  flow::Stage& stage_;
  StageTask task_;
};

}  // namespace calor::train
