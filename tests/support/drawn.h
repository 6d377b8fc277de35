// Weights for tests of networks.
#pragma once

#include <ATen/ATen.h>

#include "calor/core/random.h"
#include "calor/net/network.h"

namespace calor::test {

// Draws the weights and moves each away from where it starts, so that every part matters. Before
// flatten().
inline void draw_and_move(net::Network& network, double by) {
  network.parameters().initialise(random_key(0, RandomUse::test));
  for (const auto& [name, tensor] : network.parameters().named()) {
    tensor.add_(at::randn(tensor.sizes(), at::detail::createCPUGenerator(tensor.numel())), by);
  }
}

}  // namespace calor::test
