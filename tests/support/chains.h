// Small chains of stages on rows of a Gaussian, for the tests of training.
#pragma once

#include <ATen/ATen.h>

#include <memory>

#include "calor/data/dataset.h"
#include "calor/train/run_config.h"

namespace calor::test {

// Rows of a correlated Gaussian with means.
inline std::shared_ptr<data::Dataset> gaussian_rows(std::int64_t n, std::uint64_t seed = 1) {
  const at::Tensor e = at::randn({n, 2}, at::detail::createCPUGenerator(seed));
  const at::Tensor mix = at::tensor({0.6F, 0.3F, 0.0F, 0.4F}).view({2, 2});
  const at::Tensor rows = (at::mm(e, mix) + at::tensor({0.5F, -0.25F})).contiguous();
  data::ItemSpec spec{.channels = 2, .height = 1, .width = 1, .class_names = {}};
  spec.kind = data::ItemKind::rows;
  return data::make_float_dataset(spec, rows);
}

// Two steps and a free stage that predict velocities; perceptrons of two layers.
inline train::RunConfig small_chain(std::int64_t width, std::int64_t steps) {
  train::RunConfig config;
  config.model.kind = net::NetworkKind::mlp;
  config.model.mlp.width = width;
  config.model.mlp.layers = 2;
  config.model.mlp.activation = net::Activation::silu;
  config.model.stages.gammas = {0.1, 0.3};
  config.model.time.law = path::TimeLaw::uniform;
  config.model.objective.prediction = objective::Quantity::v;
  config.model.objective.t_eps = 0;
  config.model.objective.blur_term = objective::BlurTerm::exact;
  config.train.steps = steps;
  config.train.warmup = 2;
  config.train.precision = net::Precision::fp32;
  config.train.products = net::Products::standard;
  return config;
}

}  // namespace calor::test
