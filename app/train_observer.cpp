#include "app/train_observer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/labels.h"
#include "calor/data/dequantise.h"
#include "calor/io/atomic_file.h"
#include "calor/io/picture.h"
#include "calor/report/grid.h"
#include "calor/solve/blurred_start.h"
#include "calor/solve/generate.h"

namespace calor::app {

namespace {

std::string unit_of(const train::StageTrainer& trainer) {
  return trainer.flow().items().kind == data::ItemKind::pictures ? "img" : "rows";
}

std::string stage_text(const train::StageTrainer& trainer) {
  if (!trainer.flow().is_chain()) return {};
  return fmt::format("stage {} of {}: ", trainer.stage_index() + 1, trainer.flow().size());
}

}  // namespace

void TrainReporter::on_start(const train::StageTrainer& trainer) {
  const auto& config = trainer.config();
  const std::int64_t done = trainer.progress().step;
  const auto parameters =
      trainer.flow().stage(trainer.stage_index()).network().parameters().count();
  say(globals_, fmt::format("{}{} parameters, {} precision, {}", stage_text(trainer),
                            report::grouped(parameters),
                            config.train.precision == net::Precision::bf16 ? "bf16" : "fp32",
                            done > 0 ? fmt::format("going on after step {}", report::grouped(done))
                                     : std::string("from the beginning")));
  log_ = std::make_unique<report::MetricsLog>(trainer.folder() / "metrics.jsonl", done);
  bar_ = std::make_unique<report::ProgressBar>(config.train.steps * config.train.batch,
                                               done * config.train.batch, unit_of(trainer),
                                               globals_.quiet);
  push_bar_.reset();
  smooth_loss_ = 0;
  steps_seen_ = 0;
  step_ = done;
  validation_.clear();
}

void TrainReporter::on_step(const train::StageTrainer& trainer, const train::StepReport& report) {
  const auto& config = trainer.config().train;
  // An average over about 100 steps, so that the eye can follow it.
  if (!report.bad) {
    const double share = std::max(0.01, 1.0 / static_cast<double>(++steps_seen_));
    smooth_loss_ += share * (report.loss - smooth_loss_);
  }
  step_ = report.step;
  items_ += config.batch;
  bar_->update(report.step * config.batch, fmt::format("loss {:.4f}{}", smooth_loss_, validation_));
  if (report.step % config.log_every == 0 || report.step == config.steps || report.bad) {
    const bool pictures = trainer.flow().items().kind == data::ItemKind::pictures;
    log_->append(report.step,
                 {{pictures ? "images" : "rows", static_cast<double>(report.step * config.batch)},
                  {"loss", report.loss},
                  {"loss_average", smooth_loss_},
                  {"gradient_norm", report.gradient_norm},
                  {"lr", report.lr},
                  {pictures ? "images_per_second" : "rows_per_second", bar_->rate()}});
  }
}

void TrainReporter::on_validation(const train::StageTrainer& trainer, double loss, bool best) {
  validation_ = fmt::format(", held out {:.4f}", loss);
  log_->append(trainer.progress().step,
               {{"validation_loss", loss}, {"validation_best", best ? 1.0 : 0.0}});
}

void TrainReporter::on_stage_end(const train::StageTrainer& /*trainer*/) {
  rate_ = bar_->rate();
  bar_->finish();
}

void TrainReporter::on_push(std::size_t stage, std::int64_t done, std::int64_t total) {
  show_carried(fmt::format("carrying particles through stage {}", stage + 1), done, total);
}

void TrainReporter::on_states(const std::string& what, std::int64_t done, std::int64_t total) {
  show_carried(what, done, total);
}

void TrainReporter::on_phase(const std::string& what) { say(globals_, what); }

void TrainReporter::show_carried(const std::string& title, std::int64_t done, std::int64_t total) {
  if (!push_bar_) {
    say(globals_, title);
    push_bar_ = std::make_unique<report::ProgressBar>(total, done, "rows", globals_.quiet);
  }
  push_bar_->update(done, "");
  if (done < total) return;
  push_bar_->finish();
  push_bar_.reset();
}

void TrainReporter::on_bad_step(const train::StepReport& report, const data::Dataset& /*set*/,
                                std::span<const std::int64_t> batch_items) {
  const auto shown = batch_items.first(std::min<std::size_t>(8, batch_items.size()));
  bar_->print(fmt::format(
      "step {}: loss {} and gradient norm {} are not finite; nothing was changed (items {}{})",
      report.step, report.loss, report.gradient_norm, fmt::join(shown, ", "),
      shown.size() < batch_items.size() ? ", ..." : ""));
}

void TrainReporter::on_checkpoint(train::StageTrainer& trainer) {
  const auto& config = trainer.config().train;
  const std::int64_t step = trainer.progress().step;
  const bool pictures = trainer.flow().items().kind == data::ItemKind::pictures;
  const bool due = pictures && !trainer.flow().is_chain() && config.sample_every > 0 &&
                   (step % config.sample_every == 0 || step >= config.steps);
  if (due) draw_grid(trainer);
}

void TrainReporter::draw_grid(train::StageTrainer& trainer) {
  const auto& config = trainer.config();
  const std::int64_t classes = trainer.flow().items().classes();
  const std::int64_t columns = classes > 0 ? std::min<std::int64_t>(classes, 12) : 8;
  const std::int64_t count = columns * 6;
  const auto folder = trainer.folder() / "samples";
  const auto file = folder / fmt::format("{:010}.png", trainer.progress().step);
  trainer.with_average([&](flow::Flow& flow) {
    const at::Tensor labels = cycling_labels(count, classes, columns);
    auto keys = solve::sampling_keys(config.train.seed, 0, count);
    const auto start = flow.has_levels()
                           ? solve::blurred_start(flow, trainer.set(), std::move(keys), labels)
                           : solve::start_from(flow, std::move(keys));
    const auto made =
        solve::generate(flow, start, {.labels = labels, .condition = {}}, config.sampling);
    if (made.items.size(0) < count) return;  // a signal asked to stop
    io::make_folder(folder);
    io::write_png(file, report::tile(data::to_bytes(made.items, flow.items()), columns, 48));
    newest_grid_ = file.string();
    bar_->print("samples: " + newest_grid_);
  });
}

void TrainReporter::on_warning(const std::string& text) { say(globals_, "warning: " + text); }

void TrainReporter::finish() {
  if (bar_) bar_->finish();
}

}  // namespace calor::app
