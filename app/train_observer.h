// What a person sees of training: the progress bar, metrics.jsonl and sample grids.
#pragma once

#include <memory>
#include <string>

#include "app/command.h"
#include "calor/report/metrics_log.h"
#include "calor/report/progress.h"
#include "calor/train/trainer.h"

namespace calor::app {

class TrainReporter final : public train::TrainObserver {
 public:
  explicit TrainReporter(const Globals& globals) : globals_(globals) {}

  void on_start(const train::Trainer& trainer) override;
  void on_step(const train::Trainer& trainer, const train::StepReport& report) override;
  void on_bad_step(const train::StepReport& report, const data::ImageDataset& set,
                   std::span<const std::int64_t> batch_items) override;
  void on_checkpoint(train::Trainer& trainer) override;
  void on_warning(const std::string& text) override;

  void finish();
  double images_per_second() const;
  // The mean loss of the last steps (not finite before the first).
  double loss() const { return smooth_loss_; }
  // The newest sample grid; empty where none was made.
  const std::string& newest_grid() const { return newest_grid_; }

 private:
  void draw_grid(train::Trainer& trainer);

  const Globals& globals_;
  std::unique_ptr<report::ProgressBar> bar_;
  std::unique_ptr<report::MetricsLog> log_;
  double smooth_loss_ = 0;
  std::int64_t steps_seen_ = 0;
  std::string newest_grid_;
};

}  // namespace calor::app
