// Training of a flow: its stages one after another, each on the particles that the stages before
// it have carried, or all independently on exact particles; then one model file.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calor/data/training_data.h"
#include "calor/flow/flow.h"
#include "calor/flow/model_file.h"
#include "calor/train/run_config.h"
#include "calor/train/stage_trainer.h"

namespace calor::train {

// RUN/                  config.toml, model.safetensors; of a flow of one stage also checkpoints/
// RUN/stages/1/         checkpoints/ of stage 1 (at the data), weights.safetensors once trained
// RUN/particles/1.f32   the data after stage 1, and .journal; validation-1.f32 likewise
class Trainer {
 public:
  // `config` must be definite (resolve_automatic). The folder must exist.
  Trainer(const RunConfig& config, data::TrainingData data, std::filesystem::path folder,
          at::Device device, TrainObserver& observer);

  // Trains what is left to train, until all is done and model.safetensors is written, or a signal
  // asks to stop; everything is saved either way.
  Outcome run();

  // Trains stage `number` (from 1) of a chain with exact particles alone, beside other processes
  // that train other stages. The last one to finish, or run(), joins them. UsageError where there
  // is no such stage or particles are pushed.
  Outcome run_stage(std::int64_t number);

  const flow::Flow& flow() const { return flow_; }
  // Stages that are trained.
  std::size_t stages_done() const;
  // Whether run() has steps to take.
  bool anything_left() const;

 private:
  Outcome run_single();
  Outcome train_stage(std::size_t stage, const data::TrainingData& data);
  std::optional<data::TrainingData> carry(std::size_t stage, const data::TrainingData& data);
  bool take_up_stage(std::size_t stage);
  void write_model();
  std::filesystem::path stage_folder(std::size_t stage) const;
  std::filesystem::path weights_file(std::size_t stage) const;

  RunConfig config_;
  data::TrainingData data_;
  std::filesystem::path folder_;
  TrainObserver& observer_;
  flow::Flow flow_;
};

// The notes that travel in the run's model file.
flow::Notes model_notes(const RunConfig& config, std::int64_t step);

}  // namespace calor::train
