#include "calor/train/fit.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "calor/core/error.h"
#include "calor/core/out_of_memory.h"
#include "calor/core/signals.h"
#include "calor/data/loader.h"
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

// Pairs of optimal transport are made within blocks: no fewer items than that, so that what is
// learnt does not depend on how many are held at a time.
std::int64_t whole_blocks(const TrainOptions& options, std::int64_t items) {
  if (options.coupling.coupling == path::Coupling::independent) return items;
  const std::int64_t block = options.coupling.block;
  return (items + block - 1) / block * block;
}

// Held-out items of one forward pass: of rows many, which are small; of pictures, or with pictures
// that are observed, as many as training holds at a time.
std::int64_t items_at_once(const TrainOptions& options, std::int64_t micro_batch,
                           const data::ItemSpec& items) {
  constexpr std::int64_t rows = 4096;
  if (items.kind == data::ItemKind::rows && items.observed.count == 0) return rows;
  return whole_blocks(options, micro_batch > 0 ? micro_batch : options.batch);
}

}  // namespace

Fit::Fit(const TrainOptions& options, net::Parameters& parameters, at::Device device, FitData data,
         TrainObserver& observer)
    : options_(options),
      parameters_(parameters),
      device_(device),
      data_(std::move(data)),
      observer_(observer),
      micro_batch_(options.micro_batch),
      writer_(data_.folder, options.keep_checkpoints) {}

RandomKey Fit::key_of(RandomUse use) const {
  return random_key(static_cast<std::uint64_t>(options_.seed), use);
}

void Fit::begin(const at::Tensor& warm_start) {
  parameters_.initialise(key_of(RandomUse::initial_weights));
  parameters_.flatten(device_);
  parameters_.allocate_gradient();
  if (warm_start.defined() && warm_start.numel() == parameters_.count()) {
    const c10::NoGradGuard no_grad;
    at::Tensor flat = parameters_.flat();
    flat.copy_(warm_start);
  }
  optimiser_ = OptimiserState::start(parameters_.flat());
  std::string warnings;
  const auto checkpoint = load_newest_checkpoint(data_.folder, warnings);
  if (!warnings.empty()) observer_.on_warning(warnings);
  if (!checkpoint) return;
  take_up(*checkpoint);
  set_aside_after(data_.folder, progress_.step);
}

void Fit::take_up(const Checkpoint& checkpoint) {
  if (checkpoint.data_fingerprint != data_.set->fingerprint()) {
    throw Error("the data that the run began with",
                fmt::format("'{}' holds other items now (checksum {}, was {})", data_.source,
                            data_.set->fingerprint(), checkpoint.data_fingerprint),
                "restore the data set, or begin a new run in another --run folder");
  }
  at::Tensor flat = parameters_.flat();
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

// The loss of some examples of a batch, by micro-batches; each one's share of the whole batch's
// loss is handed to `add_gradient`.
double Fit::accumulate_part(const data::Batch& batch, std::int64_t first, std::int64_t count,
                            const std::function<void(const at::Tensor&)>& add_gradient) {
  const std::int64_t size = batch.items.size(0);
  const std::int64_t micro = micro_batch_ > 0 ? std::min(micro_batch_, count) : count;
  // One stream for each example ever seen, numbered from the start of the run.
  const auto keys = key_of(RandomUse::training_noise).children(batch.step * size + first, count);
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

std::int64_t Fit::parts_of(std::int64_t size) const {
  const bool apart = device_.is_cpu() && parts_are_independent();
  return apart ? std::min(options_.parts, size) : 1;
}

// Where memory is refused, the batch begins again in smaller micro-batches, which later ones keep:
// the same gradient but for rounding.
double Fit::gradients_within_memory(const data::Batch& batch) {
  for (;;) {
    try {
      return accumulate_gradients(batch);
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error) || !halve_micro_batch(batch.items.size(0))) throw;
    }
  }
}

// False where it cannot be smaller: blocks of rows that optimal transport pairs stay whole.
bool Fit::halve_micro_batch(std::int64_t size) {
  const std::int64_t parts = parts_of(size);
  const std::int64_t part = (size + parts - 1) / parts;
  const std::int64_t held = micro_batch_ > 0 ? std::min(micro_batch_, part) : part;
  const std::int64_t half = whole_blocks(options_, held / 2);
  if (half < 1 || half >= held) return false;
  micro_batch_ = half;
  observer_.on_warning(fmt::format(
      "memory was refused for {} items at a time: {} from here on (train.micro_batch={})", held,
      half, half));
  return true;
}

// Parts that run side by side are summed in their order, so that the result is the same on any
// number of threads: each part's operators run on one.
double Fit::accumulate_gradients(const data::Batch& batch) {
  const std::int64_t size = batch.items.size(0);
  const std::int64_t parts = parts_of(size);
  at::Tensor total = parameters_.flat_gradient();
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
          const at::Tensor own = parameters_.gradient_of(loss);
          gradient = gradient.defined() ? gradient.add_(own) : own;
        });
  });
  at::add_out(total, gradients[0], gradients[1]);
  for (std::size_t i = 2; i < gradients.size(); ++i) total.add_(gradients[i]);
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

StepReport Fit::step(const data::Batch& batch) {
  StepReport report;
  report.loss = gradients_within_memory(batch);
  const c10::NoGradGuard no_grad;
  report.gradient_norm = parameters_.flat_gradient().norm().item<double>();
  report.bad = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
  const OptimiserSettings settings = settings_at(options_, optimiser_.updates);
  report.lr = settings.lr;
  if (!report.bad) {
    const double clip = options_.clip;
    const double scale = clip > 0 && report.gradient_norm > clip ? clip / report.gradient_norm : 1;
    at::Tensor weights = parameters_.flat();
    update(weights, parameters_.flat_gradient(), scale, settings, optimiser_);
  }
  ++progress_.step;
  progress_.bad_steps += report.bad ? 1 : 0;
  progress_.bad_in_a_row = report.bad ? progress_.bad_in_a_row + 1 : 0;
  report.step = progress_.step;
  return report;
}

// The same examples, times and noise each time, so that two losses differ by the weights alone.
double Fit::validation_loss() {
  const c10::NoGradGuard no_grad;
  const std::int64_t size = data_.validation->size();
  const RandomKey key = key_of(RandomUse::validation);
  const std::int64_t at_once = items_at_once(options_, micro_batch_, data_.validation->spec());
  double sum = 0;
  for (std::int64_t first = 0; first < size; first += at_once) {
    const std::int64_t count = std::min(at_once, size - first);
    const data::Batch batch = data::batch_of(*data_.validation, first, count);
    const auto keys = key.children(first, count);
    sum += batch_loss(batch, 0, keys, false).item<double>() * static_cast<double>(count);
  }
  return sum / static_cast<double>(size);
}

void Fit::validate() {
  double loss = 0;
  {
    const SwappedWeights average(parameters_.flat(), optimiser_.ema);
    loss = validation_loss();
  }
  const bool better = !best_.weights.defined() || loss < best_.loss;
  if (better) best_ = {.loss = loss, .step = progress_.step, .weights = optimiser_.ema.clone()};
  observer_.on_validation(*this, loss, better);
}

Outcome Fit::run() {
  observer_.on_start(*this);
  data::LoaderOptions loading;
  loading.batch = options_.batch;
  loading.seed = order_seed();
  loading.flip = data_.flip;
  loading.first_step = progress_.step;
  loading.threads = static_cast<int>(options_.loader_threads);
  data::Loader loader(data_.set, loading);
  std::int64_t saved_at = -1;
  while (!is_finished() && !interrupted()) {
    const data::Batch batch = loader.next();
    const StepReport report = step(batch);
    if (report.bad) observer_.on_bad_step(report, *data_.set, batch.indices);
    observer_.on_step(*this, report);
    if (progress_.bad_in_a_row >= options_.max_bad_steps) {
      throw Error(
          "finite losses and gradients",
          fmt::format("{} steps in a row that were not, up to step {}", progress_.bad_in_a_row,
                      progress_.step),
          "lower train.lr or set train.precision=fp32, with --override; the last checkpoint is "
          "untouched");
    }
    const std::int64_t every = options_.validate_every;
    if (data_.validation && (is_finished() || progress_.step % every == 0)) validate();
    if (progress_.step % options_.checkpoint_every == 0) {
      save();
      saved_at = progress_.step;
    }
  }
  if (saved_at != progress_.step) save();
  writer_.finish();
  observer_.on_end(*this);
  return is_finished() ? Outcome::finished : Outcome::interrupted;
}

void Fit::save() {
  writer_.begin({.progress = progress_,
                 .data_fingerprint = data_.set->fingerprint(),
                 .weights = parameters_.flat(),
                 .optimiser = optimiser_,
                 .best = best_});
  on_saved();
}

const at::Tensor& Fit::final_weights() const {
  const bool best = options_.keep == Keep::best && best_.weights.defined();
  return best ? best_.weights : optimiser_.ema;
}

double Fit::best_loss() const { return best_.weights.defined() ? best_.loss : NAN; }

}  // namespace calor::train
