// The settings of the 1-D U-Net, and what must hold among them.
#include <fmt/format.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/net/chunk_unet.h"

namespace calor::net {

void ChunkUnetOptions::declare(config::Options& options) {
  options.add("chunk.widths", widths, {1, 16384}, "",
              "channels of each level, finest level first; each level but the last halves the "
              "chunk's steps");
  options.add("chunk.kernel", kernel, {1, 63}, "steps", "steps that a convolution sees; odd");
  options.add("chunk.groups", groups, {1, 1024}, "groups",
              "groups of the group normalisation; they divide every level's width");
  options.add("chunk.embedding", embedding, {4, 16384}, "", "width of the time's embedding; even");
  options.add("chunk.time_scale", time_scale, {1e-3, 1e6}, "",
              "the time's sinusoids see this times t");
}

std::int64_t ChunkUnetOptions::width(std::int64_t level) const {
  return std::llround(widths.at(static_cast<std::size_t>(level)));
}

void ChunkUnetOptions::scale_to(double finest) {
  const double ratio = finest / widths.at(0);
  for (double& width : widths) width *= ratio;
}

void check_chunk_unet(const ChunkUnetOptions& options, const PictureShape& shape) {
  require_usage(options.levels() >= 2, "two levels or more in chunk.widths",
                fmt::format("{}", options.levels()), "for instance [64, 128, 256]");
  for (std::int64_t level = 0; level < options.levels(); ++level) {
    const double given = options.widths[static_cast<std::size_t>(level)];
    require_usage(
        given == std::round(given) && options.width(level) % options.groups == 0,
        fmt::format("whole chunk.widths that are multiples of chunk.groups = {}", options.groups),
        fmt::format("{}", given), "change either");
  }
  require_usage(options.kernel % 2 == 1, "an odd chunk.kernel", fmt::format("{}", options.kernel),
                "take 3 or 5");
  require_usage(options.embedding % 2 == 0, "an even chunk.embedding",
                fmt::format("{}", options.embedding), "take 64, say");
  const std::int64_t factor = std::int64_t{1} << (options.levels() - 1);
  require_usage(shape.height == 1 && shape.width % factor == 0,
                fmt::format("chunks of a number of steps that {} divides, for {} levels", factor,
                            options.levels()),
                fmt::format("{} x {}", shape.height, shape.width),
                "change the chunk's length, or the number of chunk.widths");
}

}  // namespace calor::net
