// The training pass of a plain multi-layer perceptron, forward and backward, by hand: rows go
// through all layers in pieces that stay in a core's cache, each piece's products on one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "calor/net/kernels/activation.h"

namespace calor::net::kernels {

// A large buffer that is used again in the next step once nothing else holds it: fresh memory of
// this size would cost a page fault for every 4 KB.
class Workspace {
 public:
  // [count] of that type, with any content.
  at::Tensor take(std::int64_t count, at::ScalarType type);

 private:
  at::Tensor buffer_;
};

// Shared by a network and the graphs that it makes.
struct MlpWorkspaces {
  Workspace activations, gradients;
};

// weights[i] [out, in] and biases[i] [out], fp32 or fp64 on the CPU; one activation after every
// layer but the last; the hidden layers have equal widths.
struct MlpLayers {
  std::vector<at::Tensor> weights, biases;
  Activation activation = Activation::relu;
};

// rows [N, in] -> [N, out], with a gradient to rows, weights and biases (first order only).
//
// Where the parameters' gradients are already allocated, an ordinary backward() adds to them in
// place and sends nothing through their accumulators. The rows' cut into pieces, and into the parts
// whose gradients are added in order, depends on N alone: results do not depend on the number of
// threads.
at::Tensor mlp_pass(const at::Tensor& rows, const MlpLayers& layers,
                    const std::shared_ptr<MlpWorkspaces>& workspaces);

}  // namespace calor::net::kernels
