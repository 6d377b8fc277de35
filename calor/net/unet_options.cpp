// The settings of the U-Net, and what must hold among them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "calor/core/error.h"
#include "calor/net/unet.h"

namespace calor::net {
namespace {

double factor_of(std::int64_t level) { return std::ldexp(1.0, static_cast<int>(level)); }

// Every level is a whole number of channels that the groups, and where it attends the heads,
// divide.
void check_widths(const UnetOptions& options) {
  for (std::int64_t level = 0; level < options.levels(); ++level) {
    const double multiplier = options.multipliers[static_cast<std::size_t>(level)];
    const double exact = static_cast<double>(options.channels) * multiplier;
    require_usage(exact == std::round(exact), "unet.channels times each of unet.multipliers whole",
                  fmt::format("{} times {}", options.channels, multiplier), "change either");
    const std::int64_t width = options.width(level);
    require_usage(
        width % options.groups == 0,
        fmt::format("widths that are multiples of unet.groups = {}", options.groups),
        fmt::format("unet.channels = {} times {} = {}", options.channels, multiplier, width),
        "change unet.groups, unet.channels or unet.multipliers");
    const bool middle = options.middle_attends() && level + 1 == options.levels();
    require_usage(
        !(options.attends(level) || middle) || width % options.head_width == 0,
        fmt::format("widths that are multiples of unet.head_width = {} where there is attention",
                    options.head_width),
        fmt::format("{} channels at the factor {}", width, factor_of(level)),
        "change unet.head_width, unet.channels, unet.multipliers or unet.attention");
  }
}

void check_attention(const UnetOptions& options) {
  const auto& factors = options.attention;
  const std::string found = fmt::format("unet.attention = {}", factors);
  require_usage(
      std::adjacent_find(factors.begin(), factors.end(), std::greater_equal<>()) == factors.end(),
      "unet.attention in ascending order, each factor once", found, "sort the list");
  for (const double factor : factors) {
    bool known = false;
    for (std::int64_t level = 0; level < options.levels(); ++level) {
      known = known || factor == factor_of(level);
    }
    require_usage(
        known,
        fmt::format("factors 1, 2, 4 up to {} in unet.attention, a power of two for each of the "
                    "{} levels after the first",
                    factor_of(options.levels() - 1), options.levels() - 1),
        found, "leave the factor out, or give unet.multipliers more levels");
  }
}

}  // namespace

void UnetOptions::declare(config::Options& options) {
  options.add("unet.channels", channels, {1, 4096}, "", "base width");
  options.add("unet.multipliers", multipliers, {0.125, 64}, "",
              "width of each level over the base width, finest level first; each level after the "
              "first halves the picture's sides");
  options.add("unet.blocks", blocks, {1, 16}, "blocks",
              "residual blocks of each level on the way down; one more on the way up");
  options.add("unet.attention", attention, {1, 128}, "",
              "downsampling factors (1, 2, 4, ...) of the levels with self-attention, which the "
              "middle has too; empty: none anywhere");
  options.add("unet.head_width", head_width, {1, 4096}, "", "channels of an attention head");
  options.add("unet.groups", groups, {1, 1024}, "groups",
              "groups of the group normalisation; they divide every level's width");
  options.add("unet.embedding", embedding, {1, 16384}, "",
              "width of the embedding of time and label");
  options.add("unet.dropout", dropout, {0, 0.9}, "probability",
              "dropout before the second convolution of every block");
}

std::int64_t UnetOptions::width(std::int64_t level) const {
  return std::llround(static_cast<double>(channels) *
                      multipliers.at(static_cast<std::size_t>(level)));
}

bool UnetOptions::attends(std::int64_t level) const {
  return std::find(attention.begin(), attention.end(), factor_of(level)) != attention.end();
}

void check_unet(const UnetOptions& options, const PictureShape& shape) {
  require_usage(!options.multipliers.empty() && options.levels() <= 8, "1 to 8 unet.multipliers",
                fmt::format("{}", options.levels()), "give one for each level, such as \"1 2 4\"");
  const auto factor = static_cast<std::int64_t>(factor_of(options.levels() - 1));
  require_usage(shape.height % factor == 0 && shape.width % factor == 0,
                fmt::format("pictures whose sides are multiples of {}, for {} unet.multipliers",
                            factor, options.levels()),
                fmt::format("{} x {} pixels", shape.width, shape.height),
                "give fewer unet.multipliers, or change data.size or data.pad");
  check_attention(options);
  check_widths(options);
}

}  // namespace calor::net
