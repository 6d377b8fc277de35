// One training step of a network for pictures, as the programs that time it take it.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "calor/flow/flow.h"
#include "calor/train/optimiser.h"

namespace calor::bench {

// The image transformers that are timed.
struct PictureModel {
  const char* size;  // of net::jit_size
  std::int64_t patch, side, context, context_start, batch;
};
inline constexpr PictureModel p1{"S", 4, 32, 32, 4, 64};
inline constexpr PictureModel b16{"B", 16, 256, 32, 4, 128};

inline const PictureModel& picture_model(const std::string& name) {
  return name == "b16" ? b16 : p1;
}

inline flow::ModelOptions options_of(const PictureModel& m) {
  flow::ModelOptions options;
  options.net = net::jit_size(m.size, m.patch);
  options.net.context_tokens = m.context;
  options.net.context_start = m.context_start;
  options.net.dropout = 0;
  return options;
}

// Random pictures with ten classes, and the noise and times that they are mixed with.
struct Example {
  at::Tensor x, noise, t, y;
};

inline Example random_example(std::int64_t batch, const data::ItemSpec& spec,
                              at::Device device = at::kCPU) {
  const auto generator = at::detail::createCPUGenerator(0);
  const std::vector<std::int64_t> shape{batch, spec.channels, spec.height, spec.width};
  return {.x = at::randn(shape, generator).to(device),
          .noise = at::randn(shape, generator).to(device),
          .t = at::rand({batch}, generator).to(device),
          .y = (at::arange(batch, at::kLong) % 10).to(device)};
}

inline data::ItemSpec pictures_of(std::int64_t channels, std::int64_t side) {
  return {.channels = channels,
          .height = side,
          .width = side,
          .class_names = std::vector<std::string>(10, "class")};
}

// Weights of every stage drawn, gradients allocated.
inline flow::Flow ready_flow(const flow::ModelOptions& options, const data::ItemSpec& pictures,
                             net::Precision precision, at::Device device = at::kCPU) {
  flow::Flow flow(options, pictures, device);
  flow.set_precision(precision);
  for (std::size_t n = 0; n < flow.size(); ++n) {
    net::Network& network = flow.stage(n).network();
    network.parameters().initialise(random_key(n, RandomUse::test));
    network.parameters().flatten(device);
    network.parameters().allocate_gradient();
  }
  return flow;
}

// Forward, loss, backward, clipping, AdamW and both averages. On a GPU the step may still be under
// way when this returns.
inline void one_step(flow::Flow& flow, train::OptimiserState& state, const Example& e) {
  net::Parameters& parameters = flow.stage(0).network().parameters();
  parameters.flat_gradient().zero_();
  const auto& objective = flow.stage(0).objective();
  const at::Tensor z = objective.noisy(e.x, e.noise, e.t);
  const at::Tensor prediction = flow.stage(0).network().forward({.z = z, .t = e.t, .y = e.y});
  objective.loss(objective.target(e.x, z, e.noise, e.t), prediction, e.t).mean().backward();
  const auto norm = parameters.flat_gradient().norm().item<double>();
  at::Tensor weights = parameters.flat();
  train::update(weights, parameters.flat_gradient(), std::min(1.0, 1 / norm), {.lr = 1e-4}, state);
}

}  // namespace calor::bench
