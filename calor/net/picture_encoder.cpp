#include "calor/net/picture_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"

namespace calor::net {
namespace {

// From -1 to 1; 0 where there is one place only.
at::Tensor places(std::int64_t count, const at::TensorOptions& type) {
  return count > 1 ? at::linspace(-1, 1, count, type) : at::zeros({1}, type);
}

}  // namespace

at::Tensor spatial_softmax(const at::Tensor& maps) {
  const at::Tensor weights =
      at::softmax(maps.flatten(2), 2).view({-1, maps.size(1), maps.size(2), maps.size(3)});
  const at::Tensor x = weights.sum(2).matmul(places(maps.size(3), maps.options()));
  const at::Tensor y = weights.sum(3).matmul(places(maps.size(2), maps.options()));
  return at::cat({x, y}, 1);
}

at::Tensor PictureEncoder::Unit::operator()(const at::Tensor& x, Precision precision) const {
  return group_norm(convolution(x, precision, stride), groups, norm.scale(), norm.shift(),
                    norm.weight.scalar_type());
}

PictureEncoder::Unit PictureEncoder::make_unit(Parameters& parameters, const std::string& name,
                                               std::int64_t in, std::int64_t out, std::int64_t side,
                                               std::int64_t stride) const {
  return {.convolution = {parameters, name + ".conv", in, out, side},
          .norm = {parameters, name + ".norm", out},
          .groups = groups_,
          .stride = stride};
}

PictureEncoder::PictureEncoder(Parameters& parameters, const std::string& name,
                               const PictureInput& pictures)
    : groups_(pictures.encoder.groups) {
  check_picture_encoder(pictures);
  const PictureEncoderOptions& options = pictures.encoder;
  const auto width = [&](std::size_t level) { return std::llround(options.widths[level]); };
  stem_ = make_unit(parameters, name + ".stem", pictures.shape.channels, width(0), 5, 2);
  for (std::size_t l = 1; l < options.widths.size(); ++l) {
    const std::string own = fmt::format("{}.blocks.{}", name, l - 1);
    blocks_.push_back({.first = make_unit(parameters, own + ".first", width(l - 1), width(l), 3, 2),
                       .second = make_unit(parameters, own + ".second", width(l), width(l), 3, 1),
                       .skip = {parameters, own + ".skip", width(l - 1), width(l), 1}});
  }
  maps_ = {parameters, name + ".maps", width(options.widths.size() - 1), options.points, 1};
  last_ = {parameters, name + ".linear", 2 * options.points, options.features};
}

// Channels last, whatever way the pictures lie in memory: a policy's rollout sees what its training
// saw, to the last bit.
at::Tensor PictureEncoder::look_at(const at::Tensor& pictures, Precision precision) const {
  const at::ScalarType type = maps_.weight.scalar_type();
  const at::Tensor bytes = pictures.contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor h = at::silu(stem_(bytes.to(type) / 127.5 - 1, precision)).to(type);
  for (const Block& block : blocks_) {
    const at::Tensor inner = at::silu(block.first(h, precision));
    const at::Tensor skip = block.skip(h, precision, 2).to(type);
    h = at::silu(block.second(inner, precision) + skip);
  }
  const at::Tensor found = spatial_softmax(maps_(h, precision).to(type));
  return last_(found, precision).to(type);
}

at::Tensor PictureEncoder::operator()(const at::Tensor& pictures, Precision precision) const {
  const at::Tensor each = pictures.flatten(0, 1);
  const std::int64_t count = each.size(0);
  if (c10::GradMode::is_enabled()) return look_at(each, precision).view({pictures.size(0), -1});
  // Where nothing is kept for a backward pass, as many at once as need not much memory.
  constexpr std::int64_t at_once = 256;
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < count; first += at_once) {
    parts.push_back(look_at(each.narrow(0, first, std::min(at_once, count - first)), precision));
  }
  return at::cat(parts).view({pictures.size(0), -1});
}

void PictureEncoderOptions::declare(config::Options& options) {
  options.add("vision.widths", widths, {1, 4096}, "",
              "policies that observe pictures: channels of each level of the encoder, the first "
              "level's first; each level halves the sides");
  options.add("vision.groups", groups, {1, 1024}, "groups",
              "groups of the encoder's group normalisation; they divide every width");
  options.add("vision.points", points, {1, 4096}, "points",
              "places that the encoder looks for in a picture");
  options.add("vision.features", features, {1, 4096}, "",
              "numbers that the encoder makes of a picture");
}

void check_picture_encoder(const PictureInput& pictures) {
  const PictureEncoderOptions& options = pictures.encoder;
  require_usage(!options.widths.empty() && options.widths.size() <= 8,
                "1 to 8 levels in vision.widths", fmt::format("{}", options.widths.size()),
                "for instance [16, 32, 64]");
  for (const double width : options.widths) {
    require_usage(
        width == std::round(width) && std::llround(width) % options.groups == 0,
        fmt::format("whole vision.widths that are multiples of vision.groups = {}", options.groups),
        fmt::format("{}", width), "change either");
  }
  // Two pixels a side at least are left to look for places in.
  const std::int64_t least = std::int64_t{2} << options.widths.size();
  require_usage(std::min(pictures.shape.height, pictures.shape.width) >= least,
                fmt::format("pictures of {0} x {0} pixels or more, for {1} levels", least,
                            options.widths.size()),
                fmt::format("{} x {}", pictures.shape.height, pictures.shape.width),
                "take fewer vision.widths; numbers that are no picture are observed by their "
                "columns, as \"grid[0:48]\"");
}

}  // namespace calor::net
