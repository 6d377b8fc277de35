// The conditional 1-D U-Net of robot policies, for chunks of T actions of A numbers each, as
// pictures [N, A, 1, T] (Janner et al., "Planning with Diffusion for Flexible Behavior Synthesis",
// 2022; conditioned as in Chi et al., "Diffusion Policy", 2023).
//
// Level l has w_l channels and T / 2^l steps, the last level as many as the one before. With R a
// residual block, and c = [embedding of the time, condition]:
//
//     down, l = 0, 1, ...:  h <- R(R(h, c), c), kept as a skip; then a convolution of 3, stride 2
//     middle:               h <- R(R(h, c), c)
//     up, l = ..., 2, 1:    h <- R(R([h, skip l], c), c) with w_(l-1) channels; then a transposed
//                           convolution of 4, stride 2
//     end:                  convolution of K, GroupNorm, Mish; convolution of 1
//
// (the finest skip is not used). R, from i to o channels, with (s, b) = Linear(mish(c)):
//
//     h = s * mish(GN(conv_K(x))) + b
//     result = mish(GN(conv_K(h))) + skip(x),   skip a convolution of 1 where i is not o
//
// Embedding of the time, E numbers: Linear(mish(Linear([sin, cos](omega_k scale t)))) with omega_k
// = 10^4^(-k/(E/2 - 1)) and 4 E numbers between. Published: E = 256, widths 256, 512, 1024, K = 5;
// 65.78 M parameters for PushT. Tensors have the names of the published code.
#pragma once

#include <memory>
#include <vector>

#include "calor/config/options.h"
#include "calor/net/jit.h"
#include "calor/net/network.h"
#include "calor/net/picture_encoder.h"

namespace calor::net {

// The defaults: a network small enough for a few cores.
struct ChunkUnetOptions {
  std::vector<double> widths{64, 128, 256};  // channels of the levels, finest first
  std::int64_t kernel = 5;                   // of the convolutions; odd
  std::int64_t groups = 8;                   // of the group normalisation
  std::int64_t embedding = 64;               // of the time; even
  double time_scale = 100;                   // the sinusoids see this times t

  void declare(config::Options& options);
  std::int64_t levels() const { return static_cast<std::int64_t>(widths.size()); }
  std::int64_t width(std::int64_t level) const;
  // Makes `finest` the finest level's width, and the others as much wider or narrower.
  void scale_to(double finest);
};

// `shape` is that of a chunk: channels = A, height 1, width = T.
// UsageError where the options do not fit each other or the chunk (a length that cannot be halved
// often enough, groups that do not divide a width, ...).
void check_chunk_unet(const ChunkUnetOptions& options, const PictureShape& shape);

// The network with parameters declared but not drawn, for `condition` numbers (0: none) and
// `pictures` beside each chunk. It computes in the type of its parameters, and in bf16 products
// where its precision says so.
std::unique_ptr<Network> make_chunk_unet(const ChunkUnetOptions& options, const PictureShape& shape,
                                         std::int64_t condition, const PictureInput& pictures = {});

}  // namespace calor::net
