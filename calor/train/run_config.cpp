#include "calor/train/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/path/arc_length.h"
#include "calor/solve/ode_options.h"
#include "calor/train/spectrum.h"

namespace calor::train {

void TrainOptions::declare(config::Options& options) {
  declare_loop(options);
  options.add("train.size_by_rows", size_by_rows,
              "choose train.steps, train.batch and mlp.width by the number of encoded training "
              "rows: data.copies of each");
  coupling.declare(options);
  solve::declare_ode(options, "push", push, false);
  options.add("push.store", particle_store, particle_stores, "how particles lie in their file");
  options
      .add("train.sample_every", sample_every, {0, 1'000'000'000}, "steps",
           "steps between sample grids; 0: none")
      .run_only = true;
}

void TrainOptions::declare_loop(config::Options& options) {
  static constexpr config::Choice<DecayShape> decay_shapes[] = {
      {"linear", DecayShape::linear, "in a straight line"},
      {"cosine", DecayShape::cosine, "by half a period of the cosine, flat at both ends"},
  };
  static constexpr config::Choice<Keep> kept[] = {
      {"best", Keep::best, "the one that did best on the held-out rows"},
      {"last", Keep::last, "that of the last step"},
  };
  options.add("train.steps", steps, {1, 1'000'000'000}, "steps", "optimiser steps in all");
  options.add("train.batch", batch, {1, 1 << 20}, "items", "pictures or rows per step");
  options.add("train.micro_batch", micro_batch, {0, 1 << 20}, "items",
              "pictures or rows per forward pass, summed up to the batch, and halved where memory "
              "is refused; 0: the whole batch");
  options.add("train.parts", parts, {1, 1024}, "parts",
              "parts of the batch that are computed side by side, one thread each, which is faster "
              "than all threads in one small batch; 1: all threads in the whole batch, as always "
              "on a GPU, with dropout, with optimal transport and for students");
  options.add("train.lr", lr, {0, 10}, "", "learning rate after warm-up");
  options.add("train.warmup", warmup, {0, 100'000'000}, "steps", "linear warm-up");
  options.add("train.decay", decay, {0, 1}, "share",
              "the learning rate falls to 0 over this last share of the steps");
  options.add("train.decay_shape", decay_shape, decay_shapes, "how it falls");
  options.add("train.lr_factor", lr_factor, {0.01, 1}, "",
              "the learning rate is multiplied by this after every train.lr_every steps");
  options.add("train.lr_every", lr_every, {1, 1'000'000'000}, "steps", "see train.lr_factor");
  options.add("train.clip", clip, {0, 1e9}, "", "gradient norm is clipped to this; 0: off");
  options.add("train.beta1", beta1, {0, 0.99999}, "", "AdamW: decay of the first moment");
  options.add("train.beta2", beta2, {0, 0.9999999}, "", "AdamW: decay of the second moment");
  options.add("train.weight_decay", weight_decay, {0, 10}, "", "AdamW: decoupled weight decay");
  options.add("train.ema", ema, {0, 0.9999999}, "",
              "decay of the first weight average, the one that samples");
  options.add("train.ema2", ema2, {0, 0.9999999}, "", "decay of the second weight average");
  net::declare_precision(options, "train.precision", precision);
  net::declare_products(options, "train.products", products);
  options.add("train.validate_every", validate_every, {1, 1'000'000'000}, "steps",
              "steps between evaluations on the held-out rows, where there are any");
  options.add("train.keep", keep, kept,
              "which weight average is the model, where rows are held out");
  options.add("train.seed", seed, {0, std::int64_t{1} << 53}, "", "seed of everything random");
  options
      .add("train.loader_threads", loader_threads, {1, 64}, "threads",
           "threads that read and decode pictures")
      .run_only = true;
  options
      .add("train.checkpoint_every", checkpoint_every, {1, 1'000'000'000}, "steps",
           "steps between checkpoints")
      .run_only = true;
  options
      .add("train.log_every", log_every, {1, 1'000'000}, "steps",
           "steps between lines of metrics.jsonl")
      .run_only = true;
  options.add("train.keep_checkpoints", keep_checkpoints, {1, 1000}, "", "newest checkpoints kept")
      .run_only = true;
  options
      .add("train.max_bad_steps", max_bad_steps, {1, 1'000'000}, "steps",
           "stop after this many steps in a row with a loss or gradient that is not finite")
      .run_only = true;
}

config::Options RunConfig::options() {
  config::Options options;
  data.declare(options);
  model.declare(options);
  train.declare(options);
  sampling.declare(options);
  return options;
}

namespace {

// What train.size_by_rows chooses.
constexpr const char* width_key = "mlp.width";
constexpr const char* batch_key = "train.batch";
constexpr const char* steps_key = "train.steps";

}  // namespace

RunConfig parse_config(std::string_view toml, const std::string& origin,
                       const std::vector<std::string>& settings) {
  RunConfig config;
  config::Options options = config.options();
  options.load_toml(toml, origin);
  for (const auto& setting : settings) {
    options.assign(setting, "command line");
    for (const char* key : {width_key, batch_key, steps_key}) {
      if (setting.starts_with(std::string(key) + "=")) config.sized_by_hand.emplace_back(key);
    }
  }
  return config;
}

void check_run(const RunConfig& config, const data::ItemSpec& items) {
  flow::check_model(config.model, items);
  // To a solver all chains are alike: their free stage stands for them.
  const auto path = config.model.stages.is_chain()
                        ? path::stage_path(path::InnerPath::linear, {.free = true})
                        : path::make_path(config.model.path, items.height, items.width);
  solve::check_solver(*path, config.sampling.solver);
}

namespace {

// The sizes of another configuration, but for those that were settled by hand.
void take_sizes(RunConfig& config, const RunConfig& from) {
  const auto chosen = [&](const char* key) {
    return std::ranges::find(config.sized_by_hand, key) == config.sized_by_hand.end();
  };
  if (chosen(width_key)) config.model.mlp.width = from.model.mlp.width;
  if (chosen(batch_key)) config.train.batch = from.train.batch;
  if (chosen(steps_key)) config.train.steps = from.train.steps;
  config.train.size_by_rows = false;
}

// Small tables are learnt by heart by large networks, large ones need more steps: measured on
// tables of 1,500 to 26,000 rows (docs/results.md). What is counted are encoded rows, data.copies
// of each: California housing's 11,559 training rows are 92,472. Where columns are dequantised the
// copies are at most 16 and at most 100,000 in all, so small is a table of less than 250 rows, and
// large one of more than 100,000.
void size_by_rows(RunConfig& config, std::int64_t encoded_rows) {
  const auto n = static_cast<double>(encoded_rows);
  const bool small = encoded_rows < 4000;
  const bool large = encoded_rows > 100'000;
  RunConfig sized = config;
  sized.model.mlp.width = small ? 128 : large ? 512 : 256;
  sized.train.batch = small ? 256 : large ? 4096 : 1024;
  sized.train.steps =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(450 * std::log2(n / 100)), 2000, 20000);
  take_sizes(config, sized);
}

}  // namespace

void resolve_automatic(TrainOptions& options, at::Device device) {
  options.precision = net::resolve(options.precision, device);
  options.products = net::resolve(options.products);
}

void resolve_automatic(RunConfig& config, at::Device device, const data::Dataset& set) {
  resolve_automatic(config.train, device);
  if (config.train.size_by_rows) size_by_rows(config, set.size());
  auto& stages = config.model.stages;
  if (stages.from_data()) {
    const auto pieces = static_cast<int>(stages.steps) + 1;
    stages.gammas = path::equal_arc_length(spectrum_of(set), stages.rho, pieces).gammas;
  }
}

void settle_as_before(TrainOptions& wanted, const TrainOptions& before) {
  if (wanted.precision == net::Precision::automatic) wanted.precision = before.precision;
  if (wanted.products == net::Products::automatic) wanted.products = before.products;
}

void require_unchanged(const config::Options& before, const config::Options& wanted,
                       const std::string& run) {
  const auto changed = config::Options::differing_keys(before, wanted);
  if (changed.empty()) return;
  const std::string& key = changed.front();
  throw usage_error(
      fmt::format("the settings that the run in {} began with", run),
      fmt::format("{} = {}, was {}{}", key, config::to_text(wanted.find(key)->get()),
                  config::to_text(before.find(key)->get()),
                  changed.size() > 1 ? fmt::format(" (and {} more)", changed.size() - 1) : ""),
      "take another --run folder, leave the setting out, or say --override to go on with the "
      "change");
}

RunConfig merge_for_resume(const RunConfig& stored, const RunConfig& requested,
                           bool override_changes, const std::string& run) {
  RunConfig wanted = requested;
  RunConfig before = stored;
  settle_as_before(wanted.train, before.train);
  if (wanted.train.size_by_rows) take_sizes(wanted, before);
  if (wanted.model.stages.from_data()) wanted.model.stages.gammas = before.model.stages.gammas;
  if (!override_changes) require_unchanged(before.options(), wanted.options(), run);
  return wanted;
}

}  // namespace calor::train
