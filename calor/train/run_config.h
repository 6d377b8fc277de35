// The configuration of a run: every setting of data, model, training and sampling, declared once.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/dataset.h"
#include "calor/data/open.h"
#include "calor/flow/flow.h"
#include "calor/net/precision.h"
#include "calor/path/coupling.h"
#include "calor/solve/generate.h"
#include "calor/solve/ode.h"
#include "calor/train/optimiser.h"
#include "calor/train/particles.h"

namespace calor::train {

// Which of a training's averages is the model, where items are held out.
enum class Keep { best, last };

struct TrainOptions {
  std::int64_t steps = 1100;
  std::int64_t batch = 128;
  std::int64_t micro_batch = 0;
  std::int64_t parts = 1;
  double lr = 2e-3;
  std::int64_t warmup = 100;
  double decay = 0.3;
  DecayShape decay_shape = DecayShape::linear;
  double lr_factor = 1;
  std::int64_t lr_every = 1000;
  double clip = 1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double weight_decay = 0;
  double ema = 0.9999;
  double ema2 = 0.9996;
  net::Precision precision = net::Precision::automatic;
  net::Products products = net::Products::automatic;
  std::int64_t seed = 0;
  std::int64_t loader_threads = 1;
  std::int64_t checkpoint_every = 500;
  std::int64_t sample_every = 500;
  std::int64_t log_every = 20;
  std::int64_t keep_checkpoints = 2;
  std::int64_t max_bad_steps = 10;
  std::int64_t validate_every = 500;
  Keep keep = Keep::best;
  bool size_by_rows = false;
  path::CouplingOptions coupling;
  ParticleStore particle_store = ParticleStore::fp32;
  solve::OdeOptions push{.method =
                             solve::OdeMethod::adams};  // carries particles from stage to stage

  void declare(config::Options& options);
  // Of these what any training has (Fit), not only a flow's.
  void declare_loop(config::Options& options);
};

struct RunConfig {
  data::DataOptions data;
  flow::ModelOptions model;
  TrainOptions train;
  solve::GenerateOptions sampling;
  // Of what train.size_by_rows chooses, the keys that the command line has settled.
  std::vector<std::string> sized_by_hand;

  RunConfig() = default;
  ~RunConfig() = default;
  RunConfig(const RunConfig&) = default;
  RunConfig& operator=(const RunConfig&) = default;

  // The declarations, bound to this object's fields; valid while it lives.
  config::Options options();
};

// A configuration from TOML text, then key=value settings, in this order.
RunConfig parse_config(std::string_view toml, const std::string& origin,
                       const std::vector<std::string>& settings);

// UsageError where a model with these settings cannot be made for the items (flow::check_model), or
// not sampled as they say; nothing is allocated.
void check_run(const RunConfig& config, const data::ItemSpec& items);

// Settles what "auto" stands for on this machine and for this training set, so that the
// saved configuration is definite.
void resolve_automatic(RunConfig& config, at::Device device, const data::Dataset& set);

// The part of resolve_automatic that any training has.
void resolve_automatic(TrainOptions& options, at::Device device);

// The parts of merge_for_resume that any training has: "auto" stays what it was settled to be, and
// UsageError where a setting that changes results differs.
void settle_as_before(TrainOptions& wanted, const TrainOptions& before);
void require_unchanged(const config::Options& before, const config::Options& wanted,
                       const std::string& run);

// The configuration to go on with in a run folder that has one: the stored one, refused where the
// request differs in a setting that changes results (the error names the first such key), unless
// `override_changes`.
RunConfig merge_for_resume(const RunConfig& stored, const RunConfig& requested,
                           bool override_changes, const std::string& run);

}  // namespace calor::train
