// Perceptrons and rows for the tests.
#pragma once

#include <ATen/ATen.h>

#include <memory>

#include "calor/net/mlp.h"
#include "tests/support/drawn.h"

namespace calor::test {

inline constexpr net::Activation all_kinds[] = {net::Activation::relu,       net::Activation::elu,
                                                net::Activation::softplus20, net::Activation::silu,
                                                net::Activation::gelu,       net::Activation::tanh};

inline net::PictureShape rows_of(std::int64_t d, std::int64_t classes = 0) {
  return {.channels = d, .height = 1, .width = 1, .classes = classes};
}

inline std::unique_ptr<net::Network> drawn(const net::MlpOptions& options,
                                           const net::PictureShape& shape,
                                           std::int64_t condition = 0,
                                           at::ScalarType type = at::kDouble) {
  auto network = net::make_mlp(options, shape, condition);
  draw_and_move(*network, 0.1);
  network->parameters().flatten(at::kCPU, type);
  network->parameters().allocate_gradient();
  return network;
}

inline net::NetworkInput some_rows(std::int64_t n, std::int64_t d,
                                   at::ScalarType type = at::kDouble, std::int64_t classes = 0,
                                   std::int64_t condition = 0) {
  const auto generator = at::detail::createCPUGenerator(5);
  net::NetworkInput input{.z = at::randn({n, d, 1, 1}, generator, at::TensorOptions(type)),
                          .t = at::rand({n}, generator, at::TensorOptions(type)),
                          .y = at::arange(n, at::kLong) % (classes + 1)};
  if (condition > 0)
    input.condition = at::randn({n, condition}, generator, at::TensorOptions(type));
  return input;
}

}  // namespace calor::test
