#include "app/train_classifier.h"

#include <fmt/format.h>

#include <cmath>

#include "app/run_lock.h"
#include "app/train_observer.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/training_data.h"
#include "calor/io/atomic_file.h"
#include "calor/report/progress.h"
#include "calor/train/classifier_trainer.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

// The configuration to train with: the stored one where the run has begun, else the request made
// definite and stored.
train::ClassifierConfig settle(const RequestText& request, train::ClassifierConfig config,
                               bool override_changes, at::Device device) {
  const fs::path file = request.run / "config.toml";
  if (is_run_folder(request.run)) {
    const std::string text = io::read_text(file);
    require_usage(train::configures_classifier(text, file.string()),
                  "the run folder of a classifier", file.string() + ": that of a flow",
                  "take another --run folder");
    const auto stored = train::parse_classifier_config(text, file.string(), {});
    config = train::merge_for_resume(stored, config, override_changes, request.run.string());
  }
  train::resolve_automatic(config, device);
  io::write_file_atomically(
      file, "# The settings of this run, as they were resolved.\n" + config.options().to_toml());
  return config;
}

data::HeldOut open_labelled(const data::DataOptions& options) {
  const auto kind = data::source_kind(options);
  require_usage(kind == data::SourceKind::pictures, "labelled pictures for a classifier",
                fmt::format("'{}', which has none", options.source),
                "name a known set, or a folder with a sub-folder for each class");
  return data::hold_out(data::open_dataset(options), options.validation, options.seed);
}

}  // namespace

nlohmann::ordered_json train_classifier(const Globals& globals, const RequestText& request,
                                        bool override_changes, at::Device device) {
  auto config = train::parse_classifier_config(request.toml, request.origin, request.settings);
  // The data first: a run folder is made only for a run that can begin.
  const data::HeldOut data = open_labelled(config.data);
  net::PictureClassifier(config.network, data.rest->spec());
  io::make_folder(request.run);
  const RunLock lock(request.run, RunLock::Kind::whole_run);
  io::remove_leftovers(request.run);
  config = settle(request, std::move(config), override_changes, device);
  const std::int64_t held_out = data.held_out ? data.held_out->size() : 0;
  say(globals, fmt::format("run folder: {}; {} pictures in {} classes, and {} held out",
                           request.run.string(), report::grouped(data.rest->size()),
                           data.rest->spec().classes(), report::grouped(held_out)));
  const InterruptGuard guard;
  TrainReporter reporter(globals);
  const auto trainer = train::ClassifierTrainer::make(config, data, request.run, device, reporter);
  const train::Outcome outcome = trainer->run();
  reporter.finish();
  const double accuracy = trainer->accuracy();
  if (outcome == train::Outcome::interrupted) {
    say(globals, fmt::format("stopped and saved at step {}; the same command goes on from there",
                             reporter.step()));
  } else {
    say(globals, fmt::format("trained: {}{}", trainer->file().string(),
                             held_out > 0 ? fmt::format("; reads {:.2f} % of held-out pictures "
                                                        "right",
                                                        100 * accuracy)
                                          : std::string()));
    say(globals, fmt::format("use it: calor evaluate SAMPLES --features {0} --classifier {0}",
                             request.run.string()));
  }
  return {{"run", request.run.string()},
          {"outcome", outcome == train::Outcome::finished ? "finished" : "interrupted"},
          {"step", reporter.step()},
          {"images", reporter.step() * config.train.batch},
          {"loss_average", reporter.loss()},
          {"images_per_second", reporter.items_per_second()},
          {"held_out", held_out},
          {"accuracy", accuracy},
          {"model", trainer->file().string()}};
}

}  // namespace calor::app
