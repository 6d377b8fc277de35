#include "app/train_classifier.h"

#include <fmt/format.h>

#include "app/run_lock.h"
#include "app/train_observer.h"
#include "calor/core/error.h"
#include "calor/data/training_data.h"
#include "calor/io/atomic_file.h"
#include "calor/report/progress.h"
#include "calor/train/checkpoint.h"
#include "calor/train/classifier_trainer.h"

namespace calor::app {
namespace {

std::int64_t weights_of(const train::ClassifierConfig& config, const data::ItemSpec& items) {
  return net::PictureClassifier(config.network, items).parameters().count();
}

// The configuration to train with: the stored one where the run has begun, else the request made
// definite.
train::ClassifierConfig settle(const RequestText& request, train::ClassifierConfig config,
                               bool override_changes, at::Device device,
                               const data::ItemSpec& items) {
  if (const auto stored = stored_request(request.run, Trains::classifier)) {
    auto before = train::parse_classifier_config(stored->toml, stored->origin, {});
    config = train::merge_for_resume(before, config, override_changes, request.run.string());
    const auto changed = config::Options::differing_keys(before.options(), config.options());
    if (!changed.empty()) {
      require_same_weights(weights_of(before, items) == weights_of(config, items), request.run);
      require_steps_left(train::steps_left(request.run, config.train.steps), changed, request.run);
    }
  }
  train::resolve_automatic(config.train, device);
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
  config = settle(request, std::move(config), override_changes, device, data.rest->spec());
  const std::int64_t held_out = data.held_out ? data.held_out->size() : 0;
  say(globals, fmt::format("run folder: {}; {} pictures in {} classes, and {} held out",
                           request.run.string(), report::grouped(data.rest->size()),
                           data.rest->spec().classes(), report::grouped(held_out)));
  TrainReporter reporter(globals);
  const auto trainer = train::ClassifierTrainer::make(config, data, request.run, device, reporter);
  const train::Outcome outcome =
      train_with(request.run, config.options(), reporter, [&] { return trainer->run(); });
  reporter.finish();
  if (outcome == train::Outcome::interrupted) {
    say(globals, fmt::format("stopped and saved at step {}; the same command goes on from there",
                             reporter.step()));
  } else {
    say(globals, fmt::format("trained: {}{}", trainer->file().string(),
                             held_out > 0 ? fmt::format("; reads {:.2f} % of held-out pictures "
                                                        "right",
                                                        100 * trainer->accuracy())
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
          {"accuracy", trainer->accuracy()},
          {"model", trainer->file().string()}};
}

}  // namespace calor::app
