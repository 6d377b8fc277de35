// The settings of JiT, its named sizes, and what must hold among them.
#include <fmt/format.h>

#include <array>

#include "calor/core/error.h"
#include "calor/net/jit.h"

namespace calor::net {
namespace {

struct NamedSize {
  const char* name;
  std::int64_t width, depth, heads, bottleneck, context_tokens, context_start;
  double dropout;
};

//                                   width depth heads bottleneck tokens start dropout
constexpr std::array named_sizes{
    NamedSize{"Ti", 128, 4, 4, 32, 4, 1, 0},        NamedSize{"S", 384, 12, 6, 64, 32, 4, 0},
    NamedSize{"B", 768, 12, 12, 128, 32, 4, 0},     NamedSize{"L", 1024, 24, 16, 128, 32, 8, 0},
    NamedSize{"H", 1280, 32, 16, 256, 32, 10, 0.2},
};

}  // namespace

void JitOptions::declare(config::Options& options) {
  options.add("net.width", width, {8, 16384}, "", "width of the tokens");
  options.add("net.depth", depth, {1, 256}, "blocks", "number of transformer blocks");
  options.add("net.heads", heads, {1, 256}, "", "attention heads");
  options.add("net.patch", patch, {1, 128}, "px",
              "side of a patch; it divides the picture's sides");
  options.add("net.bottleneck", bottleneck, {1, 16384}, "", "width between patch and token");
  options.add("net.context_tokens", context_tokens, {0, 1024}, "tokens",
              "in-context class tokens; 0: none");
  options.add("net.context_start", context_start, {0, 255}, "block",
              "block before which the class tokens enter, counted from 0");
  options.add("net.dropout", dropout, {0, 0.9}, "probability",
              "dropout in the middle half of the blocks");
  options.add("net.refine", refine, {0, 256}, "channels",
              "feature channels of two last 3x3 convolutions across patch borders; 0: none (JiT)");
}

JitOptions jit_size(const std::string& name, std::int64_t patch) {
  std::vector<std::string> names;
  for (const auto& size : named_sizes) {
    names.emplace_back(size.name);
    if (name != size.name) continue;
    return {.width = size.width,
            .depth = size.depth,
            .heads = size.heads,
            .patch = patch,
            .bottleneck = size.bottleneck,
            .context_tokens = size.context_tokens,
            .context_start = size.context_start,
            .dropout = size.dropout,
            .refine = 0};
  }
  throw usage_error("a size of JiT: Ti, S, B, L or H", fmt::format("'{}'", name),
                    "or give --width, --depth and the others");
}

void check_jit(const JitOptions& options, const PictureShape& shape) {
  require_usage(shape.height % options.patch == 0 && shape.width % options.patch == 0,
                fmt::format("pictures whose sides are multiples of net.patch = {}", options.patch),
                fmt::format("{} x {} pixels", shape.width, shape.height),
                "change net.patch, data.size or data.pad");
  require_usage(options.width % options.heads == 0 && options.width / options.heads % 4 == 0,
                "net.width that is a multiple of 4 net.heads",
                fmt::format("width {}, heads {}", options.width, options.heads), "change either");
  require_usage(options.context_tokens == 0 || options.context_start < options.depth,
                "net.context_start below net.depth",
                fmt::format("start {}, depth {}", options.context_start, options.depth),
                "let the class tokens enter earlier, or set net.context_tokens=0");
}

}  // namespace calor::net
