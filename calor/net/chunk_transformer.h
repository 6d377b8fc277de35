// The transformer of robot policies, for chunks of T actions of A numbers each, as pictures
// [N, A, 1, T]. The actions are its tokens; time and observation act on every block by adaptive
// layer norms that start as zero (Peebles and Xie, "Scalable Diffusion Models with Transformers",
// 2023; for robots Dasari et al., "The Ingredients for Robotic Diffusion Transformers", 2024).
//
// With LN a layer norm without parameters, D = width, and p learnt positions:
//
//     c   = Linear(silu(Linear([sin, cos](omega_k scale t)))) + Linear(silu(Linear(observation)))
//     h_k = Linear(z_k) + p_k,                                                       k = 1 ... T
//     in each block, with (b1, s1, g1, b2, s2, g2) = Linear(silu(c)), at first all 0:
//         h <- h + g1 Attention(LN(h) (1 + s1) + b1)       every action sees every other
//         h <- h + g2 MLP(LN(h) (1 + s2) + b2)             Linear to 4 D, GELU, Linear to D
//     result = Linear(LN(h) (1 + s) + b),                  (b, s) = Linear(silu(c)); at first 0
//
// omega_k = 10^4^(-k/(D/2 - 1)). Without p it would not know the order of the actions: permuted
// actions give the permuted result. The published policies (Chi et al., "Diffusion Policy", 2023)
// have 8 blocks of 4 heads and D = 256, with the observation as tokens that are attended to.
//
// Parameters: with the A numbers of an action, T actions, c numbers observed and L blocks,
//     (A + 1) D + T D + 2 (D + 1) D + [c > 0] (c + D + 2) D + L (18 D^2 + 15 D) + 2 (D + 1) D
//     + (D + 1) A.
#pragma once

#include <memory>

#include "calor/config/options.h"
#include "calor/net/jit.h"
#include "calor/net/network.h"
#include "calor/net/picture_encoder.h"

namespace calor::net {

// The defaults: a network small enough for a few cores.
struct ChunkTransformerOptions {
  std::int64_t width = 128;
  std::int64_t depth = 4;
  std::int64_t heads = 4;
  double time_scale = 100;  // the sinusoids see this times t

  void declare(config::Options& options);
};

// `shape` is that of a chunk: channels = A, height 1, width = T.
// UsageError where the options do not fit each other or the chunk.
void check_chunk_transformer(const ChunkTransformerOptions& options, const PictureShape& shape);

// The network with parameters declared but not drawn, for `condition` numbers (0: none) and
// `pictures` beside each chunk. It computes in the type of its parameters, and in bf16 products
// where its precision says so.
std::unique_ptr<Network> make_chunk_transformer(const ChunkTransformerOptions& options,
                                                const PictureShape& shape, std::int64_t condition,
                                                const PictureInput& pictures = {});

}  // namespace calor::net
