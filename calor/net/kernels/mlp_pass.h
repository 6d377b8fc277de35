// The training pass of a multi-layer perceptron, plain or residual, with or without FiLM, forward
// and backward by hand: rows go through all layers in pieces that stay in a core's cache, each
// piece's products on one thread. FiLM's product, 2 width numbers a row and layer, is made in the
// pieces too; by itself autograd would cut and join those numbers again for every layer. Without a
// hidden layer it is a linear layer whose gradients do not depend on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "calor/net/kernels/mlp_piece.h"

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

// rows [N, in] and, where there is FiLM, embedding [N, e] -> [N, out], with a gradient to both and
// to the layers' tensors (first order only).
//
// Where the parameters' gradients are already allocated, an ordinary backward() adds to them in
// place and sends nothing through their accumulators. The rows' cut into pieces, and into the parts
// whose gradients are added in order, depends on N alone: results do not depend on the number of
// threads.
at::Tensor mlp_pass(const at::Tensor& rows, const at::Tensor& embedding, const MlpLayers& layers,
                    const std::shared_ptr<MlpWorkspaces>& workspaces);

}  // namespace calor::net::kernels
