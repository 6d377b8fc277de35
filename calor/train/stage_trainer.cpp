#include "calor/train/stage_trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/core/signals.h"
#include "calor/data/loader.h"
#include "calor/path/coupling.h"
#include "calor/train/example.h"
#include "calor/train/swapped_weights.h"

namespace calor::train {
namespace {

OptimiserSettings settings_at(const TrainOptions& o, std::int64_t step) {
  const LearningRate rate{.base = o.lr,
                          .warmup = o.warmup,
                          .decay_share = o.decay,
                          .decay_shape = o.decay_shape,
                          .factor = o.lr_factor,
                          .every = o.lr_every};
  return {.lr = rate.at(step, o.steps),
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .weight_decay = o.weight_decay,
          .ema = o.ema,
          .ema2 = o.ema2};
}

constexpr std::int64_t validation_rows = 4096;  // at a time

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
    : config_(config),
      flow_(flow),
      stage_(flow.stage(task.stage)),
      task_(std::move(task)),
      device_(flow.device()),
      observer_(observer),
      writer_(task_.folder, config.train.keep_checkpoints) {
  stage_.network().set_precision(config.train.precision);
  net::Parameters& parameters = stage_.network().parameters();
  parameters.initialise(stage_key(RandomUse::initial_weights));
  parameters.flatten(device_);
  parameters.allocate_gradient();
  if (task_.warm_start.defined() && task_.warm_start.numel() == parameters.count()) {
    const c10::NoGradGuard no_grad;
    at::Tensor flat = parameters.flat();
    flat.copy_(task_.warm_start);
  }
  optimiser_ = OptimiserState::start(parameters.flat());
  std::string warnings;
  const auto checkpoint = load_newest_checkpoint(task_.folder, warnings);
  if (!warnings.empty()) observer_.on_warning(warnings);
  if (checkpoint) take_up(*checkpoint);
}

// One seed serves all stages; each has streams of its own.
RandomKey StageTrainer::stage_key(RandomUse use) const {
  const RandomKey key = random_key(static_cast<std::uint64_t>(config_.train.seed), use);
  return flow_.is_chain() ? key.child(task_.stage) : key;
}

void StageTrainer::take_up(const Checkpoint& checkpoint) {
  if (checkpoint.data_fingerprint != task_.set->fingerprint()) {
    throw Error("the data that the run began with",
                fmt::format("'{}' holds other items now (checksum {}, was {})", config_.data.source,
                            task_.set->fingerprint(), checkpoint.data_fingerprint),
                "restore the data set, or begin a new run in another --run folder");
  }
  at::Tensor flat = stage_.network().parameters().flat();
  if (checkpoint.weights.numel() != flat.numel()) {
    throw Error(fmt::format("{} weights in the checkpoint", flat.numel()),
                fmt::format("{} weights", checkpoint.weights.numel()),
                "the network's settings changed: take another --run folder");
  }
  const c10::NoGradGuard no_grad;
  flat.copy_(checkpoint.weights);
  const OptimiserState& saved = checkpoint.optimiser;
  optimiser_ = {.first_moment = saved.first_moment.to(device_),
                .second_moment = saved.second_moment.to(device_),
                .ema = saved.ema.to(device_),
                .ema2 = saved.ema2.to(device_),
                .updates = saved.updates};
  progress_ = checkpoint.progress;
  best_ = checkpoint.best;
  if (best_.weights.defined()) best_.weights = best_.weights.to(device_);
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
  at::Tensor x = data::to_model_range(batch.items.narrow(0, start, count).to(device_));
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
  given = stage_.encoded(given.to(device_));
  const std::int64_t times = stages.times_per_pair;
  const at::Tensor t = draw_times(stage_.training_times(), keys, times).to(device_);
  if (times > 1) {
    const at::Tensor rows =
        at::arange(count, at::TensorOptions(at::kLong).device(device_)).repeat_interleave(times);
    x = x.index_select(0, rows);
    noise = noise.index_select(0, rows);
    given = given.select(rows);
  }
  const at::Tensor z = objective.noisy(x, noise, t);

  const auto& options = config_.model.objective;
  net::ForwardContext context;
  if (training) context.dropout = dropout_key(keys);
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
  return task_.lesson->loss(stage_, rows, keys, optimiser_.ema2);
}

// The loss of some examples of a batch, by micro-batches; each one's share of the whole batch's
// loss is handed to `add_gradient`.
double StageTrainer::accumulate_part(const data::Batch& batch, std::int64_t first,
                                     std::int64_t count,
                                     const std::function<void(const at::Tensor&)>& add_gradient) {
  const std::int64_t size = batch.items.size(0);
  const std::int64_t micro =
      config_.train.micro_batch > 0 ? std::min(config_.train.micro_batch, count) : count;
  const auto keys =
      example_keys(stage_key(RandomUse::training_noise), batch.step * size + first, count);
  double loss = 0;
  for (std::int64_t start = 0; start < count; start += micro) {
    const std::int64_t taken = std::min(micro, count - start);
    const double share = static_cast<double>(taken) / static_cast<double>(size);
    const auto own =
        std::span(keys).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(taken));
    const at::Tensor part = batch_loss(batch, first + start, own, true) * share;
    add_gradient(part);
    loss += part.item<double>();
  }
  return loss;
}

// Only what touches nothing in common can run side by side: dropout draws from the device's one
// generator, and a lesson may put other weights in place for a while.
std::int64_t StageTrainer::parts_of(std::int64_t size) const {
  const bool apart = device_.is_cpu() && !task_.lesson && dropout_of(config_.model) == 0;
  return apart ? std::min(config_.train.parts, size) : 1;
}

// Parts that run side by side are summed in their order, so that the result is the same on any
// number of threads: each part's operators run on one.
double StageTrainer::accumulate_gradients(const data::Batch& batch) {
  const std::int64_t size = batch.items.size(0);
  const std::int64_t parts = parts_of(size);
  const net::Parameters& parameters = stage_.network().parameters();
  at::Tensor total = parameters.flat_gradient();
  if (parts == 1) {
    total.zero_();
    return accumulate_part(batch, 0, size, [](const at::Tensor& loss) { loss.backward(); });
  }
  std::vector<double> losses(static_cast<std::size_t>(parts));
  std::vector<at::Tensor> gradients(static_cast<std::size_t>(parts));
  if (!workers_) {
    const auto threads = std::min<std::int64_t>(parts, at::get_num_threads());
    workers_ = std::make_unique<Workers>(static_cast<int>(threads));
  }
  workers_->run(parts, [&](std::int64_t i) {
    const std::int64_t first = size * i / parts;
    at::Tensor& gradient = gradients[static_cast<std::size_t>(i)];
    losses[static_cast<std::size_t>(i)] =
        accumulate_part(batch, first, size * (i + 1) / parts - first, [&](const at::Tensor& loss) {
          const at::Tensor own = parameters.gradient_of(loss);
          gradient = gradient.defined() ? gradient.add_(own) : own;
        });
  });
  at::add_out(total, gradients[0], gradients[1]);
  for (std::size_t i = 2; i < gradients.size(); ++i) total.add_(gradients[i]);
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

StepReport StageTrainer::step(const data::Batch& batch) {
  StepReport report;
  report.loss = accumulate_gradients(batch);
  const c10::NoGradGuard no_grad;
  const net::Parameters& parameters = stage_.network().parameters();
  report.gradient_norm = parameters.flat_gradient().norm().item<double>();
  report.bad = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
  const OptimiserSettings settings = settings_at(config_.train, optimiser_.updates);
  report.lr = settings.lr;
  if (!report.bad) {
    const double clip = config_.train.clip;
    const double scale = clip > 0 && report.gradient_norm > clip ? clip / report.gradient_norm : 1;
    at::Tensor weights = parameters.flat();
    update(weights, parameters.flat_gradient(), scale, settings, optimiser_);
  }
  ++progress_.step;
  progress_.bad_steps += report.bad ? 1 : 0;
  progress_.bad_in_a_row = report.bad ? progress_.bad_in_a_row + 1 : 0;
  report.step = progress_.step;
  return report;
}

// The same examples, times and noise each time, so that two losses differ by the weights alone.
double StageTrainer::validation_loss() {
  const c10::NoGradGuard no_grad;
  const std::int64_t size = task_.validation->size();
  const RandomKey key = stage_key(RandomUse::validation);
  double sum = 0;
  for (std::int64_t first = 0; first < size; first += validation_rows) {
    const std::int64_t count = std::min(validation_rows, size - first);
    data::Batch batch;
    for (std::int64_t i = first; i < first + count; ++i) batch.indices.push_back(i);
    task_.validation->fill(batch, first, 0, false);
    const auto keys = example_keys(key, first, count);
    sum += batch_loss(batch, 0, keys, false).item<double>() * static_cast<double>(count);
  }
  return sum / static_cast<double>(size);
}

void StageTrainer::validate() {
  double loss = 0;
  {
    const SwappedWeights average(stage_.network().parameters().flat(), optimiser_.ema);
    loss = validation_loss();
  }
  const bool better = !best_.weights.defined() || loss < best_.loss;
  if (better) best_ = {.loss = loss, .step = progress_.step, .weights = optimiser_.ema.clone()};
  observer_.on_validation(*this, loss, better);
}

Outcome StageTrainer::run() {
  observer_.on_start(*this);
  data::LoaderOptions loading;
  loading.batch = config_.train.batch;
  loading.seed = flow_.is_chain() ? stage_key(RandomUse::data_order).value
                                  : static_cast<std::uint64_t>(config_.train.seed);
  loading.flip = config_.data.flip;
  loading.first_step = progress_.step;
  loading.threads = static_cast<int>(config_.train.loader_threads);
  data::Loader loader(task_.set, loading);
  std::int64_t saved_at = -1;
  while (!is_finished() && !interrupted()) {
    const data::Batch batch = loader.next();
    const StepReport report = step(batch);
    if (report.bad) observer_.on_bad_step(report, *task_.set, batch.indices);
    observer_.on_step(*this, report);
    if (progress_.bad_in_a_row >= config_.train.max_bad_steps) {
      throw Error("finite losses and gradients",
                  fmt::format("{} steps in a row that were not, up to step {}",
                              progress_.bad_in_a_row, progress_.step),
                  "lower train.lr or set train.precision=fp32; the last checkpoint is untouched");
    }
    const std::int64_t every = config_.train.validate_every;
    if (task_.validation && (is_finished() || progress_.step % every == 0)) validate();
    if (progress_.step % config_.train.checkpoint_every == 0) {
      save();
      saved_at = progress_.step;
    }
  }
  if (saved_at != progress_.step) save();
  writer_.finish();
  observer_.on_stage_end(*this);
  return is_finished() ? Outcome::finished : Outcome::interrupted;
}

void StageTrainer::save() {
  writer_.begin({.progress = progress_,
                 .data_fingerprint = task_.set->fingerprint(),
                 .weights = stage_.network().parameters().flat(),
                 .optimiser = optimiser_,
                 .best = best_});
  if (task_.publish) task_.publish(*this);
  observer_.on_checkpoint(*this);
}

const at::Tensor& StageTrainer::final_weights() const {
  const bool best = config_.train.keep == Keep::best && best_.weights.defined();
  return best ? best_.weights : optimiser_.ema;
}

double StageTrainer::best_loss() const { return best_.weights.defined() ? best_.loss : NAN; }

void StageTrainer::with_average(const std::function<void(flow::Flow&)>& use) {
  const SwappedWeights average(stage_.network().parameters().flat(), final_weights());
  use(flow_);
}

}  // namespace calor::train
