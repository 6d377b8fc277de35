// What a person sees of training: the progress bar, metrics.jsonl and sample grids.
#pragma once

#include <memory>
#include <string>

#include "app/command.h"
#include "calor/report/metrics_log.h"
#include "calor/report/progress.h"
#include "calor/train/stage_trainer.h"

namespace calor::app {

class TrainReporter final : public train::TrainObserver {
 public:
  explicit TrainReporter(const Globals& globals) : globals_(globals) {}

  void on_start(const train::Fit& fit) override;
  void on_step(const train::Fit& fit, const train::StepReport& report) override;
  void on_bad_step(const train::StepReport& report, const data::Dataset& set,
                   std::span<const std::int64_t> batch_items) override;
  void on_validation(const train::Fit& fit, double loss, bool best) override;
  void on_checkpoint(train::StageTrainer& trainer) override;
  void on_end(const train::Fit& fit) override;
  void on_push(std::size_t stage, std::int64_t done, std::int64_t total) override;
  void on_states(const std::string& what, std::int64_t done, std::int64_t total) override;
  void on_phase(const std::string& what) override;
  void on_warning(const std::string& text) override;

  void finish();
  // Of the last stage that was trained.
  double items_per_second() const { return rate_; }
  std::int64_t step() const { return step_; }
  // Whether any step was taken.
  bool stepped() const { return steps_seen_ > 0; }
  std::int64_t items() const { return items_; }
  // The mean loss of the last steps (not finite before the first).
  double loss() const { return smooth_loss_; }
  // The newest sample grid; empty where none was made.
  const std::string& newest_grid() const { return newest_grid_; }

 private:
  void show_carried(const std::string& title, std::int64_t done, std::int64_t total);
  void draw_grid(train::StageTrainer& trainer);

  const Globals& globals_;
  std::unique_ptr<report::ProgressBar> bar_, push_bar_;
  std::unique_ptr<report::MetricsLog> log_;
  double smooth_loss_ = 0;
  std::int64_t steps_seen_ = 0;
  std::int64_t step_ = 0;
  std::int64_t items_ = 0;
  double rate_ = 0;
  std::string validation_;  // the newest loss on held-out rows, for the bar
  std::string newest_grid_;
};

}  // namespace calor::app
