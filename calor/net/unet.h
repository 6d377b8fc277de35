// The U-Net of diffusion models, for pictures [N, C, H, W] of any sides that its downsampling
// divides (Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", 2020), with time and
// label entering by scale and shift (Dhariwal and Nichol, "Diffusion Models Beat GANs on Image
// Synthesis", 2021, there "adaptive group normalisation").
//
// Level l works on H / 2^l x W / 2^l pixels with w_l = channels * multipliers[l] channels. With R a
// residual block, followed by self-attention at the chosen levels (see unet_block.h):
//
//   - down, l = 0, 1, ...: h <- R(h), `blocks` times; a 3x3 convolution of stride 2 to w_(l+1);
//   - middle: h <- R(attention(R(h)));
//   - up, l = ..., 1, 0: h <- R([h, skip]), `blocks` + 1 times; then every pixel is doubled in both
//     directions and a 3x3 convolution takes w_l to w_(l-1).
//
// A skip is what came into the level on the way down, or what a block there put out; the last is
// taken first. In difference to the published networks it is the resampling convolutions that
// change the width, so a level has one width and the convolution after doubling, the dearest of
// the network otherwise, makes only the channels that the finer level needs.
//
// Embedding of time and label, E numbers: Linear(silu(Linear([cos, sin](omega_k t)))) + label
// table, t in [0, 1], omega_k = pi/2 * 256^(k/31), k = 0..31: from a quarter of a turn over all
// times, so that every time is told from every other, to 64 turns, so that hundredths are told
// apart by large angles; finer ones would only let the velocity jitter in time.
//
// Parameters, with C the picture's channels, L levels, B blocks: a residual block from i to o
// channels has 9 i o + 9 o^2 for its convolutions, (2 E + 4) o for their biases and the modulation,
// 2 i for its first norm, and (i + 1) o where i is not o; attention at width w has 4 w^2 + 6 w.
// Each level has B blocks w to w and B + 1 blocks 2 w to w, with an attention each where chosen;
// the middle two blocks and an attention; each of L - 1 borders 18 w w' + w + w'; the ends
// (9 C + 1) w_0 + (9 w_0 + 1) C + 2 w_0; the embedding (64 + 1) E + (E + 1) E + (classes + 1) E.
//
// The last convolution of every block, every attention's output and the last convolution begin at
// zero, so that at first every block passes on its input (through skip) and the prediction is 0.
#pragma once

#include <memory>
#include <vector>

#include "calor/config/options.h"
#include "calor/net/jit.h"
#include "calor/net/network.h"

namespace calor::net {

// The defaults: 1.28 M parameters for grey pictures of 28 x 28 pixels and 10 classes. Narrow where
// there are many pixels, so that most products belong to the many parameters of the coarse level.
struct UnetOptions {
  std::int64_t channels = 16;                // base width
  std::vector<double> multipliers{1, 3, 5};  // widths over the base width, finest level first
  std::int64_t blocks = 1;                   // residual blocks of each level on the way down
  std::vector<double> attention{4};          // downsampling factors 2^l of the levels that attend
  std::int64_t head_width = 16;              // channels of an attention head
  std::int64_t groups = 8;                   // of the group normalisation
  std::int64_t embedding = 128;              // of time and label
  double dropout = 0;                        // before the second convolution of every block

  void declare(config::Options& options);
  std::int64_t levels() const { return static_cast<std::int64_t>(multipliers.size()); }
  std::int64_t width(std::int64_t level) const;
  bool attends(std::int64_t level) const;
  bool middle_attends() const { return !attention.empty(); }
};

// UsageError where the options do not fit each other or the pictures (a side that cannot be halved
// often enough, groups that do not divide a width, ...).
void check_unet(const UnetOptions& options, const PictureShape& shape);

// The network with parameters declared but not drawn. It computes in the type of its parameters
// (Parameters::flatten), and in bf16 products where its precision says so.
std::unique_ptr<Network> make_unet(const UnetOptions& options, const PictureShape& shape);

}  // namespace calor::net
