#include "calor/train/stage_trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "calor/core/random.h"
#include "calor/path/coupling.h"
#include "calor/train/example.h"
#include "calor/train/swapped_weights.h"

namespace calor::train {
namespace {

double dropout_of(const flow::ModelOptions& model) {
  switch (model.kind) {
    case net::NetworkKind::jit:
      return model.net.dropout;
    case net::NetworkKind::unet:
      return model.unet.dropout;
    case net::NetworkKind::mlp:
      return model.mlp.dropout;
    case net::NetworkKind::chunk_unet:
    case net::NetworkKind::chunk_transformer:
      break;
  }
  return 0;
}

}  // namespace

StageTrainer::StageTrainer(const RunConfig& config, flow::Flow& flow, StageTask task,
                           TrainObserver& observer)
    : Fit(config.train, flow.stage(task.stage).network().parameters(), flow.device(),
          {.set = task.set,
           .validation = task.validation,
           .flip = config.data.flip,
           .folder = task.folder,
           .source = config.data.source},
          observer),
      config_(config),
      flow_(flow),
      stage_(flow.stage(task.stage)),
      task_(std::move(task)) {
  stage_.network().set_precision(net::resolve(config.train.precision, flow.device()));
  begin(task_.warm_start);
}

// One seed serves all stages; each has streams of its own.
RandomKey StageTrainer::key_of(RandomUse use) const {
  const RandomKey key = Fit::key_of(use);
  return flow_.is_chain() ? key.child(task_.stage) : key;
}

std::uint64_t StageTrainer::order_seed() const {
  return flow_.is_chain() ? key_of(RandomUse::data_order).value : Fit::order_seed();
}

std::string StageTrainer::title() const {
  if (!flow_.is_chain()) return {};
  return fmt::format("stage {} of {}: ", task_.stage + 1, flow_.size());
}

at::Tensor StageTrainer::drop_labels(const at::Tensor& labels,
                                     std::span<const RandomKey> keys) const {
  const std::int64_t none = flow_.items().classes();
  if (none == 0) return at::zeros_like(labels);
  at::Tensor out = labels.clone();
  auto* label = out.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const double u = uniform_of(keys[i], RandomUse::label_dropout);
    if (u < config_.model.objective.label_dropout) label[i] = none;
  }
  return out;
}

// The mean loss of some examples; each one's particle, times, noise and label dropout follow its
// key.
at::Tensor StageTrainer::batch_loss(const data::Batch& batch, std::int64_t start,
                                    std::span<const RandomKey> keys, bool training) {
  if (task_.lesson) return lesson_loss(batch, start, keys, training);
  const auto count = static_cast<std::int64_t>(keys.size());
  const objective::Objective& objective = stage_.objective();
  const auto& stages = config_.model.stages;
  at::Tensor x = data::to_model_range(batch.items.narrow(0, start, count).to(device()));
  // A global stage's path begins at the data itself.
  const bool local = stages.predicted == flow::PredictedEnd::left;
  if (stage_.step() && local && stages.particles == flow::Particles::exact) {
    x = exact_left(x, *stage_.step(), stage_.space(), keys);
  }
  at::Tensor noise = draw_noise(x, keys, RandomUse::training_noise);
  const auto& coupling = config_.train.coupling;
  if (coupling.coupling == path::Coupling::optimal_transport) {
    noise = path::couple_noise(x, noise, coupling.block);
  }
  const at::Tensor labels = batch.labels.narrow(0, start, count);
  const auto part = [&](const at::Tensor& all) {
    return all.defined() ? all.narrow(0, start, count) : all;
  };
  flow::Given given{.labels = training ? drop_labels(labels, keys) : labels,
                    .condition = part(batch.condition),
                    .pictures = part(batch.pictures)};
  given = stage_.encoded(given.to(device()));
  const std::int64_t times = stages.times_per_pair;
  const at::Tensor t = draw_times(stage_.training_times(), keys, times).to(device());
  if (times > 1) {
    const at::Tensor rows =
        at::arange(count, at::TensorOptions(at::kLong).device(device())).repeat_interleave(times);
    x = x.index_select(0, rows);
    noise = noise.index_select(0, rows);
    given = given.select(rows);
  }
  const at::Tensor z = objective.noisy(x, noise, t);

  const auto& options = config_.model.objective;
  net::ForwardContext context;
  if (training && dropout_of(config_.model) > 0) context.dropout = dropout_key(keys);
  context.only_trains = training;
  if (options.layer_sync > 0) context.taps = {options.layer_sync_from, options.layer_sync_to};
  const at::Tensor prediction = stage_.predict(z, t, given, context);
  const at::Tensor loss = objective.loss(objective.target(x, z, noise, t), prediction, t).mean();
  if (options.layer_sync == 0) return loss;
  return loss - options.layer_sync *
                    objective::layer_similarity(context.tokens.at(0), context.tokens.at(1));
}

at::Tensor StageTrainer::lesson_loss(const data::Batch& batch, std::int64_t start,
                                     std::span<const RandomKey> keys, bool training) {
  const auto rows = std::span(batch.indices).subspan(static_cast<std::size_t>(start), keys.size());
  if (!training) return task_.lesson->held_out_loss(stage_, rows);
  return task_.lesson->loss(stage_, rows, keys, second_average());
}

// Only what touches nothing in common can run side by side: dropout draws from the device's one
// generator, a lesson may put other weights in place for a while, and optimal transport pairs the
// examples of a whole batch.
bool StageTrainer::parts_are_independent() const {
  return !task_.lesson && dropout_of(config_.model) == 0 &&
         config_.train.coupling.coupling == path::Coupling::independent;
}

void StageTrainer::on_saved() {
  if (task_.publish) task_.publish(*this);
  observer().on_checkpoint(*this);
}

void StageTrainer::with_average(const std::function<void(flow::Flow&)>& use) {
  const SwappedWeights average(stage_.network().parameters().flat(), final_weights());
  use(flow_);
}

}  // namespace calor::train
