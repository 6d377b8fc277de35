#include "app/train_observer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/labels.h"
#include "calor/data/dataset.h"
#include "calor/io/atomic_file.h"
#include "calor/io/picture.h"
#include "calor/report/grid.h"
#include "calor/solve/generate.h"

namespace calor::app {

void TrainReporter::on_start(const train::Trainer& trainer) {
  const auto& config = trainer.config();
  const std::int64_t done = trainer.progress().step;
  const auto parameters = trainer.flow().network().parameters().count();
  say(globals_, fmt::format("{} parameters, {} precision, {}", report::grouped(parameters),
                            config.train.precision == net::Precision::bf16 ? "bf16" : "fp32",
                            done > 0 ? fmt::format("going on after step {}", report::grouped(done))
                                     : std::string("from the beginning")));
  log_ = std::make_unique<report::MetricsLog>(trainer.folder() / "metrics.jsonl", done);
  bar_ = std::make_unique<report::ProgressBar>(config.train.steps * config.train.batch,
                                               done * config.train.batch, "img", globals_.quiet);
}

void TrainReporter::on_step(const train::Trainer& trainer, const train::StepReport& report) {
  const auto& config = trainer.config().train;
  // An average over about 100 steps, so that the eye can follow it.
  if (!report.bad) {
    const double share = std::max(0.01, 1.0 / static_cast<double>(++steps_seen_));
    smooth_loss_ += share * (report.loss - smooth_loss_);
  }
  bar_->update(report.step * config.batch, fmt::format("loss {:.4f}", smooth_loss_));
  if (report.step % config.log_every == 0 || report.step == config.steps || report.bad) {
    log_->append(report.step, {{"images", static_cast<double>(report.step * config.batch)},
                               {"loss", report.loss},
                               {"loss_average", smooth_loss_},
                               {"gradient_norm", report.gradient_norm},
                               {"lr", report.lr},
                               {"images_per_second", bar_->rate()}});
  }
}

void TrainReporter::on_bad_step(const train::StepReport& report, const data::ImageDataset& /*set*/,
                                std::span<const std::int64_t> batch_items) {
  const auto shown = batch_items.first(std::min<std::size_t>(8, batch_items.size()));
  bar_->print(fmt::format(
      "step {}: loss {} and gradient norm {} are not finite; nothing was changed (items {}{})",
      report.step, report.loss, report.gradient_norm, fmt::join(shown, ", "),
      shown.size() < batch_items.size() ? ", ..." : ""));
}

void TrainReporter::on_checkpoint(train::Trainer& trainer) {
  const auto& config = trainer.config().train;
  const std::int64_t step = trainer.progress().step;
  const bool due =
      config.sample_every > 0 && (step % config.sample_every == 0 || step >= config.steps);
  if (due) draw_grid(trainer);
}

void TrainReporter::draw_grid(train::Trainer& trainer) {
  const auto& config = trainer.config();
  const std::int64_t classes = trainer.flow().pictures().classes();
  const std::int64_t columns = classes > 0 ? std::min<std::int64_t>(classes, 12) : 8;
  const std::int64_t count = columns * 6;
  const auto folder = trainer.folder() / "samples";
  const auto file = folder / fmt::format("{:010}.png", trainer.progress().step);
  trainer.with_average([&](flow::Flow& flow) {
    const at::Tensor noise = flow.initial_noise(solve::sampling_keys(config.train.seed, 0, count));
    const at::Tensor labels = cycling_labels(count, classes, columns);
    const auto made = solve::generate(flow, noise, labels, config.sampling);
    if (made.pictures.size(0) < count) return;  // a signal asked to stop
    io::make_folder(folder);
    io::write_png(file, report::tile(data::to_bytes(made.pictures), columns, 48));
    newest_grid_ = file.string();
    bar_->print("samples: " + newest_grid_);
  });
}

void TrainReporter::on_warning(const std::string& text) { say(globals_, "warning: " + text); }

void TrainReporter::finish() {
  if (bar_) bar_->finish();
}

double TrainReporter::images_per_second() const { return bar_ ? bar_->rate() : 0; }

}  // namespace calor::app
