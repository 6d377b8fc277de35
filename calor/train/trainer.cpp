#include "calor/train/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/core/signals.h"
#include "calor/data/loader.h"
#include "calor/flow/model_file.h"
#include "calor/io/atomic_file.h"

namespace calor::train {
namespace {

OptimiserSettings settings_at(const TrainOptions& o, std::int64_t step) {
  return {.lr = scheduled_lr(o.lr, o.warmup, o.decay, o.steps, step),
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .weight_decay = o.weight_decay,
          .ema = o.ema,
          .ema2 = o.ema2};
}

data::LoaderOptions loader_options(const RunConfig& config, std::int64_t first_step) {
  data::LoaderOptions options;
  options.batch = config.train.batch;
  options.seed = static_cast<std::uint64_t>(config.train.seed);
  options.flip = config.data.flip;
  options.first_step = first_step;
  options.threads = static_cast<int>(config.train.loader_threads);
  return options;
}

// One stream per example ever seen: number `position` counts examples from the start of the run.
std::vector<RandomKey> example_keys(RandomKey key, std::int64_t first, std::int64_t count) {
  std::vector<RandomKey> keys;
  for (std::int64_t i = 0; i < count; ++i) {
    keys.push_back(key.child(static_cast<std::uint64_t>(first + i)));
  }
  return keys;
}

std::vector<RandomKey> children(std::span<const RandomKey> keys, RandomUse use) {
  std::vector<RandomKey> out;
  for (const RandomKey key : keys) out.push_back(key.child(static_cast<std::uint64_t>(use)));
  return out;
}

// Noise like x: one stream per example on the CPU; on a GPU its own generator, which is faster than
// the host could draw and send, from the key of the first example.
at::Tensor draw_noise(const at::Tensor& x, std::span<const RandomKey> keys) {
  const auto own = children(keys, RandomUse::training_noise);
  if (x.is_cpu()) return normal_by_item(own, x.sizes().slice(1), x.device());
  seed_device(own.front(), x.device());
  return at::randn_like(x);
}

}  // namespace

Trainer::Trainer(const RunConfig& config, std::shared_ptr<const data::ImageDataset> set,
                 std::filesystem::path folder, at::Device device, TrainObserver& observer)
    : config_(config),
      set_(std::move(set)),
      folder_(std::move(folder)),
      device_(device),
      observer_(observer),
      flow_(config.model, set_->spec(), device) {
  net::use(config.train.products);
  flow_.network().set_precision(config.train.precision);
  net::Parameters& parameters = flow_.network().parameters();
  const auto seed = static_cast<std::uint64_t>(config.train.seed);
  parameters.initialise(random_key(seed, RandomUse::initial_weights));
  parameters.flatten(device);
  parameters.allocate_gradient();
  optimiser_ = OptimiserState::start(parameters.flat());
  std::string warnings;
  const auto checkpoint = load_newest_checkpoint(folder_, warnings);
  if (!warnings.empty()) observer_.on_warning(warnings);
  if (checkpoint) take_up(*checkpoint);
}

void Trainer::take_up(const Checkpoint& checkpoint) {
  if (checkpoint.data_fingerprint != set_->fingerprint()) {
    throw Error("the data set that the run began with",
                fmt::format("'{}' holds other pictures now (checksum {}, was {})",
                            config_.data.source, set_->fingerprint(), checkpoint.data_fingerprint),
                "restore the data set, or begin a new run in another --run folder");
  }
  at::Tensor flat = flow_.network().parameters().flat();
  if (checkpoint.weights.numel() != flat.numel()) {
    throw Error(fmt::format("{} weights in the checkpoint", flat.numel()),
                fmt::format("{} weights", checkpoint.weights.numel()),
                "the network's settings changed: take another --run folder");
  }
  flat.copy_(checkpoint.weights);
  const OptimiserState& saved = checkpoint.optimiser;
  optimiser_ = {.first_moment = saved.first_moment.to(device_),
                .second_moment = saved.second_moment.to(device_),
                .ema = saved.ema.to(device_),
                .ema2 = saved.ema2.to(device_),
                .updates = saved.updates};
  progress_ = checkpoint.progress;
}

at::Tensor Trainer::drop_labels(const at::Tensor& labels, std::span<const RandomKey> keys) const {
  const std::int64_t none = flow_.pictures().classes();
  at::Tensor out = labels.clone();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::array<double, 1> uniform{};
    fill_uniform(keys[i].child(static_cast<std::uint64_t>(RandomUse::label_dropout)), uniform);
    if (none == 0 || uniform[0] < config_.model.objective.label_dropout) {
      out[static_cast<std::int64_t>(i)] = none;
    }
  }
  return out;
}

// The mean loss of some examples; each one's time, noise and label dropout follow its key.
at::Tensor Trainer::batch_loss(const at::Tensor& x, const at::Tensor& labels,
                               std::span<const RandomKey> keys) {
  const objective::Objective& objective = flow_.objective();
  const at::Tensor t =
      flow_.training_times().draw(children(keys, RandomUse::training_time)).to(device_);
  const at::Tensor noise = draw_noise(x, keys);
  const at::Tensor z = objective.noisy(x, noise, t);

  const auto& options = config_.model.objective;
  net::ForwardContext context;
  context.dropout = keys[0].child(static_cast<std::uint64_t>(RandomUse::dropout));
  if (options.layer_sync > 0) context.taps = {options.layer_sync_from, options.layer_sync_to};
  const at::Tensor prediction = flow_.network().forward(
      {.z = z, .t = t, .y = drop_labels(labels, keys).to(device_)}, context);
  const at::Tensor loss = objective.loss(objective.target(x, z, noise, t), prediction, t).mean();
  if (options.layer_sync == 0) return loss;
  return loss - options.layer_sync *
                    objective::layer_similarity(context.tokens.at(0), context.tokens.at(1));
}

// Sums gradients over micro-batches, weighted so that the result is that of the whole batch.
double Trainer::accumulate_gradients(const data::Batch& batch) {
  const std::int64_t size = batch.pictures.size(0);
  const std::int64_t micro =
      config_.train.micro_batch > 0 ? std::min(config_.train.micro_batch, size) : size;
  const auto seed = static_cast<std::uint64_t>(config_.train.seed);
  const auto keys =
      example_keys(random_key(seed, RandomUse::training_noise), batch.step * size, size);
  flow_.network().parameters().flat_gradient().zero_();
  double loss = 0;
  for (std::int64_t start = 0; start < size; start += micro) {
    const std::int64_t count = std::min(micro, size - start);
    const double share = static_cast<double>(count) / static_cast<double>(size);
    const at::Tensor x = data::to_unit_range(batch.pictures.narrow(0, start, count).to(device_));
    const at::Tensor part = batch_loss(x, batch.labels.narrow(0, start, count),
                                       std::span(keys).subspan(static_cast<std::size_t>(start),
                                                               static_cast<std::size_t>(count))) *
                            share;
    part.backward();
    loss += part.item<double>();
  }
  return loss;
}

StepReport Trainer::step(const data::Batch& batch) {
  StepReport report;
  report.loss = accumulate_gradients(batch);
  const c10::NoGradGuard no_grad;
  const net::Parameters& parameters = flow_.network().parameters();
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

Outcome Trainer::run() {
  observer_.on_start(*this);
  data::Loader loader(set_, loader_options(config_, progress_.step));
  std::int64_t saved_at = -1;
  while (progress_.step < config_.train.steps && !interrupted()) {
    const data::Batch batch = loader.next();
    const StepReport report = step(batch);
    if (report.bad) observer_.on_bad_step(report, *set_, batch.indices);
    observer_.on_step(*this, report);
    if (progress_.bad_in_a_row >= config_.train.max_bad_steps) {
      throw Error("finite losses and gradients",
                  fmt::format("{} steps in a row that were not, up to step {}",
                              progress_.bad_in_a_row, progress_.step),
                  "lower train.lr or set train.precision=fp32; the last checkpoint is untouched");
    }
    if (progress_.step % config_.train.checkpoint_every == 0) {
      save();
      saved_at = progress_.step;
    }
  }
  if (saved_at != progress_.step) save();
  return progress_.step >= config_.train.steps ? Outcome::finished : Outcome::interrupted;
}

void Trainer::save() {
  save_checkpoint(folder_,
                  {.progress = progress_,
                   .data_fingerprint = set_->fingerprint(),
                   .weights = flow_.network().parameters().flat(),
                   .optimiser = optimiser_},
                  config_.train.keep_checkpoints);
  flow::save_model(folder_ / "model.safetensors", flow_, model_notes(config_, progress_.step),
                   optimiser_.ema);
  observer_.on_checkpoint(*this);
}

void Trainer::with_average(const std::function<void(flow::Flow&)>& use) {
  const c10::NoGradGuard no_grad;
  at::Tensor flat = flow_.network().parameters().flat();
  const at::Tensor weights = flat.clone();
  flat.copy_(optimiser_.ema);
  try {
    use(flow_);
  } catch (...) {
    flat.copy_(weights);
    throw;
  }
  flat.copy_(weights);
}

flow::Notes model_notes(const RunConfig& config, std::int64_t step) {
  RunConfig copy = config;
  flow::Notes notes = solve::notes_from_options(config.sampling);
  notes["calor.training"] = copy.options().to_toml();
  notes["calor.step"] = std::to_string(step);
  return notes;
}

}  // namespace calor::train
