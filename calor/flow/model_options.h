// All that defines a model before it is trained, and how guidance acts.
#pragma once

#include "calor/config/options.h"
#include "calor/flow/stage_options.h"
#include "calor/net/make_network.h"
#include "calor/objective/objective.h"
#include "calor/path/spectral_path.h"
#include "calor/path/training_times.h"

namespace calor::flow {

struct ModelOptions {
  path::PathOptions path;
  StageOptions stages;
  path::TimeOptions time;
  objective::ObjectiveOptions objective;
  net::NetworkKind kind = net::NetworkKind::jit;
  net::JitOptions net;
  net::UnetOptions unet;
  net::MlpOptions mlp;
  net::ChunkUnetOptions chunk;
  net::ChunkTransformerOptions chunk_transformer;
  net::PictureEncoderOptions vision;

  void declare(config::Options& options);
  // The same with the network's width and depth those of stage `index` of a chain.
  ModelOptions of_stage(std::size_t index) const;
};

// Classifier-free guidance: x = x_none + w (x_label - x_none), w = scale where lo < t < hi,
// strictly and in fp32 (lo = 0 includes t = 0), else 1.
struct GuidanceOptions {
  double scale = 1;
  double lo = 0;
  double hi = 1;

  void declare(config::Options& options);
  double weight(double t) const;
  // The same where t is the time of one stage of a chain, counted from the data (0); the interval
  // is one of the chain's time, in which each of its stages takes an equal part.
  GuidanceOptions in_stage(std::size_t index, std::size_t stages) const;
};

}  // namespace calor::flow
