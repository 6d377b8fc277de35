// A flow: a path, a network on it, and what the network predicts. Today a flow has one stage that
// spans all times; a chain of stages will be the same type with more of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>

#include "calor/config/options.h"
#include "calor/core/random.h"
#include "calor/data/dataset.h"
#include "calor/net/jit.h"
#include "calor/objective/objective.h"
#include "calor/path/picture_space.h"
#include "calor/path/training_times.h"

namespace calor::flow {

// All that defines a model before it is trained.
struct ModelOptions {
  path::PathOptions path;
  path::TimeOptions time;
  objective::ObjectiveOptions objective;
  net::JitOptions net;

  void declare(config::Options& options);
};

// Classifier-free guidance: x = x_none + w (x_label - x_none), w = scale where lo < t < hi,
// strictly and in fp32 (lo = 0 includes t = 0), else 1.
struct GuidanceOptions {
  double scale = 1;
  double lo = 0;
  double hi = 1;

  void declare(config::Options& options);
  double weight(double t) const;
};

class Flow {
 public:
  // The weights are declared, not drawn. UsageError where the options do not fit the pictures.
  Flow(const ModelOptions& options, const data::ImageSpec& pictures, at::Device device);

  // The clean picture [N, C, H, W] predicted for z at time t. labels: int64 [N] on the flow's
  // device, pictures().classes() meaning none. With and without label run as one batch where
  // guided.
  at::Tensor clean(const at::Tensor& z, double t, const at::Tensor& labels,
                   const GuidanceOptions& guidance) const;

  // Noise to start from, [keys, C, H, W]: the path's at t = 0, one stream per item.
  at::Tensor initial_noise(std::span<const RandomKey> keys) const;

  const ModelOptions& options() const { return options_; }
  const data::ImageSpec& pictures() const { return pictures_; }
  const path::PictureSpace& space() const { return space_; }
  const path::TrainingTimes& training_times() const { return times_; }
  const objective::Objective& objective() const { return objective_; }
  net::Network& network() { return *network_; }
  const net::Network& network() const { return *network_; }
  at::Device device() const { return device_; }

 private:
  at::Tensor predict(const at::Tensor& z, double t, const at::Tensor& labels) const;

  ModelOptions options_;
  data::ImageSpec pictures_;
  at::Device device_;
  path::PictureSpace space_;
  path::TrainingTimes times_;
  objective::Objective objective_;
  std::unique_ptr<net::Network> network_;
};

}  // namespace calor::flow
