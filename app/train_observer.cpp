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

bool of_pictures(const train::Fit& fit) {
  return fit.set().spec().kind == data::ItemKind::pictures;
}

std::string unit_of(const train::Fit& fit) { return of_pictures(fit) ? "img" : "rows"; }

}  // namespace

void TrainReporter::on_start(const train::Fit& fit) {
  const train::TrainOptions& options = fit.options();
  const std::int64_t done = fit.progress().step;
  say(globals_, fmt::format("{}{} parameters, {} precision, {}", fit.title(),
                            report::grouped(fit.parameters().count()),
                            options.precision == net::Precision::bf16 ? "bf16" : "fp32",
                            done > 0 ? fmt::format("going on after step {}", report::grouped(done))
                                     : std::string("from the beginning")));
  log_ = std::make_unique<report::MetricsLog>(fit.folder() / "metrics.jsonl", done);
  bar_ = std::make_unique<report::ProgressBar>(options.steps * options.batch, done * options.batch,
                                               unit_of(fit), globals_.quiet);
  push_bar_.reset();
  smooth_loss_ = 0;
  steps_seen_ = 0;
  step_ = done;
  validation_.clear();
}

void TrainReporter::on_step(const train::Fit& fit, const train::StepReport& report) {
  const train::TrainOptions& options = fit.options();
  // An average over about 100 steps, so that the eye can follow it.
  if (!report.bad) {
    const double share = std::max(0.01, 1.0 / static_cast<double>(++steps_seen_));
    smooth_loss_ += share * (report.loss - smooth_loss_);
  }
  step_ = report.step;
  items_ += options.batch;
  bar_->update(report.step * options.batch,
               fmt::format("loss {:.4f}{}", smooth_loss_, validation_));
  if (report.step % options.log_every == 0 || report.step == options.steps || report.bad) {
    const bool pictures = of_pictures(fit);
    log_->append(report.step,
                 {{pictures ? "images" : "rows", static_cast<double>(report.step * options.batch)},
                  {"loss", report.loss},
                  {"loss_average", smooth_loss_},
                  {"gradient_norm", report.gradient_norm},
                  {"lr", report.lr},
                  {pictures ? "images_per_second" : "rows_per_second", bar_->rate()}});
  }
}

void TrainReporter::on_validation(const train::Fit& fit, double loss, bool best) {
  validation_ = fmt::format(", held out {:.4f}", loss);
  log_->append(fit.progress().step,
               {{"validation_loss", loss}, {"validation_best", best ? 1.0 : 0.0}});
}

void TrainReporter::on_end(const train::Fit& /*fit*/) {
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
  const train::TrainOptions& options = trainer.options();
  const std::int64_t step = trainer.progress().step;
  const bool due = of_pictures(trainer) && !trainer.flow().is_chain() && options.sample_every > 0 &&
                   (step % options.sample_every == 0 || step >= options.steps);
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
