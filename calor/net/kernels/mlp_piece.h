// One piece of rows through all layers of a multi-layer perceptron, forward and backward by hand,
// on the calling thread and without a graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "calor/net/kernels/activation.h"

namespace calor::net::kernels {

// weights[i] [out, in] and biases[i] [out], fp32 or fp64 on the CPU; the hidden layers have equal
// widths. film_weight [filmed 2 width, e] and film_bias [filmed 2 width], or undefined: the scale
// (less 1) and the shift of the first `filmed` hidden layers, made of a row's embedding.
struct MlpTensors {
  std::vector<at::Tensor> weights, biases;
  at::Tensor film_weight, film_bias;
};

// a_0 = W_0 x + b_0,   h_i = f(FiLM_i(a_i)),   a_i = W_i h_(i-1) + b_i, the last a being the
// output. Residual: every second hidden a_i (2, 4, ...) adds a_(i-2), which FiLM leaves as it is;
// only the last hidden layer may then be without FiLM.
struct MlpLayers : MlpTensors {
  Activation activation = Activation::relu;
  bool residual = false;

  std::int64_t hidden() const { return static_cast<std::int64_t>(weights.size()) - 1; }
  std::int64_t width() const { return weights.front().size(0); }
  std::int64_t filmed() const {
    return film_weight.defined() ? film_weight.size(0) / (2 * width()) : 0;
  }
  bool skips(std::int64_t i) const { return residual && i >= 2 && i % 2 == 0 && i < hidden(); }
};

// What a backward pass needs of the forward one: [hidden, N, width] values h and, where they do not
// follow from those, slopes f'; [N, filmed 2 width] FiLM's scales and arguments a.
struct MlpKept {
  at::Tensor values, slopes, films;
};

struct MlpBatch {
  const MlpLayers* layers;
  at::Tensor rows, embedding;  // [N, in]; [N, e], or undefined without FiLM
  MlpKept kept;
};

// Some rows of a batch.
struct RowRange {
  std::int64_t begin, count;
  at::Tensor of(const at::Tensor& x) const { return x.narrow(0, begin, count); }
};

// Fills these rows of `kept` and of out [N, out].
void forward_piece(const MlpBatch& batch, const RowRange& range, const at::Tensor& out);

// A batch's gradients: of the output [N, out], given; of rows and embedding, undefined: not wanted.
struct MlpRowGradients {
  at::Tensor out, rows, embedding;
};

// The parameters' gradients over some pieces, to which each adds in turn.
struct MlpSums {
  MlpTensors tensors;
  bool wanted = true;      // without, the weights stay as they are
  bool overwrite = false;  // the weights hold nothing yet
};
void backward_piece(const MlpBatch& batch, const MlpRowGradients& gradients, const RowRange& range,
                    MlpSums& sums);

}  // namespace calor::net::kernels
