#include "calor/net/picture_classifier.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::net {
namespace {

void check(const PictureClassifierOptions& o, const data::ItemSpec& pictures) {
  require_usage(pictures.kind == data::ItemKind::pictures && pictures.classes() > 1,
                "labelled pictures of two classes or more for a classifier",
                pictures.kind == data::ItemKind::rows
                    ? std::string("rows")
                    : fmt::format("pictures of {} classes", pictures.classes()),
                "give a known set, or a folder with a sub-folder for each class");
  bool whole = !o.widths.empty();
  for (const double w : o.widths) {
    whole = whole && w == std::floor(w) && std::llround(w) % o.groups == 0;
  }
  require_usage(whole, "classifier.widths that are multiples of classifier.groups",
                fmt::format("[{}] and {}", fmt::join(o.widths, ", "), o.groups),
                "for instance 16 32 64 and 8");
  const auto halvings = static_cast<std::int64_t>(o.widths.size()) - 1;
  const std::int64_t side = std::min(pictures.height, pictures.width);
  require_usage(side >> halvings >= 2,
                fmt::format("pictures that can be halved {} times", halvings),
                fmt::format("{} x {} pixels", pictures.height, pictures.width),
                "give fewer classifier.widths");
}

}  // namespace

void PictureClassifierOptions::declare(config::Options& options) {
  options.add("classifier.widths", widths, {1, 4096}, "channels",
              "channels at each level; each level after the first halves the sides");
  options.add("classifier.blocks", blocks, {1, 64}, "blocks",
              "residual blocks of two convolutions at each level");
  options.add("classifier.groups", groups, {1, 1024}, "groups", "of the group normalisation");
}

PictureClassifier::PictureClassifier(const PictureClassifierOptions& options,
                                     const data::ItemSpec& pictures)
    : options_(options), pictures_(pictures) {
  check(options, pictures);
  const auto width = [&](std::size_t level) { return std::llround(options.widths[level]); };
  stem_ = {parameters_, "stem", pictures.channels, width(0)};
  for (std::size_t l = 0; l < options.widths.size(); ++l) {
    std::vector<Block>& blocks = levels_.emplace_back();
    for (std::int64_t i = 0; i < options.blocks; ++i) {
      const std::string name = fmt::format("levels.{}.blocks.{}.", l, i);
      const bool halves = l > 0 && i == 0;
      const std::int64_t in = halves ? width(l - 1) : width(l);
      blocks.push_back({.norm1 = {parameters_, name + "norm1", in},
                        .norm2 = {parameters_, name + "norm2", width(l)},
                        .first = {parameters_, name + "first", in, width(l)},
                        .second = {parameters_, name + "second", width(l), width(l)},
                        .skip = {},
                        .stride = halves ? 2 : 1});
      if (halves) blocks.back().skip = {parameters_, name + "skip", in, width(l), 1};
    }
  }
  const std::int64_t features = width(options.widths.size() - 1);
  last_norm_ = {parameters_, "norm", features};
  last_ = {parameters_, "last", features, pictures.classes()};
}

at::Tensor PictureClassifier::run(const Block& block, const at::Tensor& x,
                                  Precision precision) const {
  const auto normed = [&](const at::Tensor& h, const ChannelAffine& norm) {
    return group_norm_silu(h, options_.groups, norm.scale(), norm.shift(),
                           block.first.type(precision));
  };
  const at::Tensor inner = block.first(normed(x, block.norm1), precision, block.stride);
  const at::Tensor added = block.second(normed(inner, block.norm2), precision);
  const bool keeps = !block.skip.weight.defined();
  return (keeps ? x : block.skip(x, precision, block.stride).to(x.scalar_type())) + added;
}

// Channels last, whatever way the pictures lie in memory, so that the same pictures are read to the
// same bits.
std::vector<at::Tensor> PictureClassifier::layers(const at::Tensor& pictures,
                                                  Precision precision) const {
  const at::ScalarType type = last_.weight.scalar_type();
  at::Tensor h =
      stem_(pictures.to(type).contiguous(at::MemoryFormat::ChannelsLast), precision).to(type);
  std::vector<at::Tensor> ends;
  for (const auto& blocks : levels_) {
    for (const Block& block : blocks) h = run(block, h, precision);
    ends.push_back(h);
  }
  ends.push_back(group_norm_silu(h, options_.groups, last_norm_.scale(), last_norm_.shift(), type));
  return ends;
}

at::Tensor PictureClassifier::features(const at::Tensor& last) {
  return last.mean(at::IntArrayRef{2, 3});
}

at::Tensor PictureClassifier::logits(const at::Tensor& features) const {
  return last_(features, Precision::fp32);
}

at::Tensor PictureClassifier::read(const at::Tensor& pictures, Precision precision) const {
  return logits(features(layers(pictures, precision).back()));
}

}  // namespace calor::net
