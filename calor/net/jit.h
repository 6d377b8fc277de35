// JiT, the plain image transformer that predicts clean pictures (Li and He, "Back to Basics: Let
// Denoising Generative Models Denoise", 2025), in every published size and in small ones for small
// pictures. Parameter names are those of the official checkpoints, so official weights load.
#pragma once

#include <memory>

#include "calor/config/options.h"
#include "calor/net/network.h"

namespace calor::net {

struct JitOptions {
  std::int64_t width = 128;
  std::int64_t depth = 4;
  std::int64_t heads = 4;
  std::int64_t patch = 4;
  std::int64_t bottleneck = 32;
  std::int64_t context_tokens = 4;
  std::int64_t context_start = 1;  // block before which the class tokens enter
  double dropout = 0;              // in the middle half of the blocks
  std::int64_t refine = 0;         // feature channels of two last 3x3 convolutions; 0: none (JiT)

  void declare(config::Options& options);
};

// The picture side of a network: sizes and classes.
struct PictureShape {
  std::int64_t channels = 1;
  std::int64_t height = 28;
  std::int64_t width = 28;
  std::int64_t classes = 0;
};

// The published sizes "B", "L", "H" and our small "Ti", "S" at a given patch; UsageError with the
// nearest name otherwise.
JitOptions jit_size(const std::string& name, std::int64_t patch);

// UsageError where the options do not fit each other or the pictures (patch does not divide a side,
// heads do not divide the width, ...).
void check_jit(const JitOptions& options, const PictureShape& shape);

// The network with parameters declared but not drawn.
std::unique_ptr<Network> make_jit(const JitOptions& options, const PictureShape& shape);

}  // namespace calor::net
