// Flows whose velocity is a constant matrix in each stage, set by hand, so that what they make of
// noise is known: relu(x) - relu(-x) = x in the first units of a perceptron of one layer. The other
// units are drawn and have no say until they are trained.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "calor/flow/model_file.h"
#include "calor/solve/generate.h"
#include "tests/support/chains.h"

namespace calor::test {

// The network then says matrix x + shift, whatever the time.
inline void say_linear(flow::Stage& stage, const at::Tensor& matrix, const at::Tensor& shift) {
  net::Parameters& parameters = stage.network().parameters();
  parameters.initialise(random_key(3, RandomUse::test));
  parameters.flatten(at::kCPU);
  const c10::NoGradGuard no_grad;
  const auto named = parameters.named();
  const auto tensor = [&](const std::string& name) {
    for (const auto& [own, value] : named) {
      if (own == name) return value;
    }
    throw std::runtime_error("no parameter " + name);
  };
  at::Tensor in = tensor("net.layers.0.weight");
  at::Tensor out = tensor("net.layers.1.weight");
  in.narrow(0, 0, 4).zero_();
  tensor("net.layers.0.bias").narrow(0, 0, 4).zero_();
  out.zero_();
  tensor("net.layers.1.bias").copy_(shift);
  for (std::int64_t i = 0; i < 2; ++i) {  // the time stands in front
    in[2 * i][1 + i] = 1;
    in[2 * i + 1][1 + i] = -1;
    out.select(1, 2 * i).copy_(matrix.select(1, i));
    out.select(1, 2 * i + 1).copy_(-matrix.select(1, i));
  }
}

inline train::RunConfig linear_config(std::int64_t steps) {
  train::RunConfig config = small_chain(24, steps);
  config.model.mlp.layers = 1;
  config.model.mlp.activation = net::Activation::relu;
  config.train.batch = 256;
  config.train.lr = 1e-2;
  config.train.beta2 = 0.99;
  config.train.ema = 0.95;
  config.train.ema2 = 0.9;
  config.train.checkpoint_every = 20;
  config.train.validate_every = 50;
  config.sampling.solver.solver = solve::Solver::adams;
  config.sampling.solver.rtol = 1e-6;
  config.sampling.solver.atol = 1e-6;
  return config;
}

inline data::ItemSpec points_spec() {
  data::ItemSpec items{.channels = 2, .height = 1, .width = 1, .class_names = {}};
  items.kind = data::ItemKind::rows;
  return items;
}

// dx/ds = A_n x in the stages of small_chain, from the data (0) to noise (2).
inline std::vector<at::Tensor> linear_velocities() {
  const auto matrix = [](float a, float b, float c, float d) {
    return at::tensor({a, b, c, d}).view({2, 2});
  };
  return {matrix(0.3F, 0.2F, -0.2F, 0.1F), matrix(-0.2F, 0.1F, 0.1F, 0.4F),
          matrix(0.5F, -0.3F, 0.3F, 0.2F)};
}

inline flow::LoadedModel linear_teacher() {
  const train::RunConfig config = linear_config(1);
  flow::LoadedModel model{
      .flow = std::make_unique<flow::Flow>(config.model, points_spec(), at::kCPU),
      .notes = solve::notes_from_options(config.sampling)};
  const auto velocities = linear_velocities();
  for (std::size_t n = 0; n < 3; ++n) {
    say_linear(model.flow->stage(n), velocities[n], at::zeros({2}));
  }
  return model;
}

// What the stages do to states on their way from the time `t` of stage `last` to the data's side of
// stage `first`: x_left = M x.
inline at::Tensor linear_map(std::size_t first, std::size_t last, double t = 0) {
  const auto velocities = linear_velocities();
  at::Tensor map = at::eye(2, at::kDouble);
  for (std::size_t n = last + 1; n-- > first;) {
    const double way = n == last ? 1 - t : 1;
    map = at::mm(at::linalg_matrix_exp(-way * velocities[n].to(at::kDouble)), map);
  }
  return map;
}

}  // namespace calor::test
