// The multi-layer perceptron of local flow matching, for rows of numbers: table rows, points in the
// plane. A row of d numbers is a picture of d channels and one pixel; any picture is taken as the
// row of its C H W numbers. Made for speed on the CPU: rows pass through the layers in pieces that
// stay in the cache, each on one thread, so results do not depend on the number of threads.
// Training in fp32 or fp64 on the CPU without dropout is one pass made by hand (kernels/mlp_pass.h)
// for every variant; dropout, bf16 and a GPU take LibTorch's operators and autograd.
//
// Plain (the published networks): [t, x] -> Linear, activation, ... -> Linear. Residual: blocks
//     h <- h + Linear(f(FiLM(Linear(f(FiLM(h)))))),
// each starting as the identity, which the time also shifts and scales (FiLM: Perez et al., 2018).
//
// Beside its numbers x the row may enter as sines and cosines of pi/4 2^(k/2) x, k = 0 .. F - 1,
// for densities in the plane whose detail is fine (Fourier features: Tancik et al., 2020).
//
// Parameters, with d = C H W, i = d (1 + 2 F) + 1 (time appended) or + 2 features (Fourier),
// w = width, L = layers: plain and residual both (i + 1) w + m (w + 1) w + (w + 1) d, where m = L -
// 1 (plain) or L (residual). Where there are labels, a condition of c numbers, or residual blocks,
// these add an embedding of e numbers and FiLM: (classes + 1) e, (c + 1) e, (2 features + 1) e for
// each of label, condition, time (residual only), and (e + 1) 2 w L.
#pragma once

#include <memory>

#include "calor/config/options.h"
#include "calor/net/jit.h"
#include "calor/net/kernels/activation.h"
#include "calor/net/network.h"

namespace calor::net {

enum class TimeInput {
  appended,  // t itself, in FRONT of the row, as in the published networks
  fourier,   // sines and cosines of t, in front of the row
};

struct MlpOptions {
  std::int64_t width = 256;
  std::int64_t layers = 4;  // hidden layers; residual: even, two to a block
  Activation activation = Activation::relu;
  bool residual = false;
  TimeInput time = TimeInput::appended;
  std::int64_t position_features = 0;  // F, frequencies of each of the row's numbers
  std::int64_t fourier_features = 8;   // frequencies pi 2^(k/2), a sine and a cosine each
  std::int64_t embedding = 64;         // of label, condition and, in residual blocks, time
  double dropout = 0;                  // after every activation

  void declare(config::Options& options);
};

// The network with parameters declared but not drawn. It computes in the type of its parameters
// (Parameters::flatten) and in bf16 products where its precision says so. UsageError where the
// options do not fit each other. condition_width 0: no condition vector.
std::unique_ptr<Network> make_mlp(const MlpOptions& options, const PictureShape& shape,
                                  std::int64_t condition_width = 0);

}  // namespace calor::net
