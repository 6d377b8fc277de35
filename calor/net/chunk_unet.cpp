#include "calor/net/chunk_unet.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "calor/net/chunk_condition.h"
#include "calor/net/kernels/group_norm.h"
#include "calor/net/layers.h"
#include "calor/net/step_convolution.h"

namespace calor::net {
namespace {

// LibTorch's own defaults: uniform within one over the root of the numbers that are summed.
Initialiser init_by_inputs(std::int64_t inputs) {
  return init_uniform(1 / std::sqrt(static_cast<double>(inputs)));
}

// s mish(GN(conv(x))) + b, the normalisation with a learnt scale and shift.
struct ConvolutionBlock {
  StepConvolution convolution;
  at::Tensor scale, shift;
  std::int64_t groups;

  ConvolutionBlock(Parameters& parameters, const std::string& name, std::int64_t in,
                   std::int64_t out, const ChunkUnetOptions& options)
      : convolution(parameters, name + ".block.0", {out, in, options.kernel}, out),
        scale(parameters.add(name + ".block.1.weight", {out}, init_ones)),
        shift(parameters.add(name + ".block.1.bias", {out}, init_zeros)),
        groups(options.groups) {}

  // film: s and b [N, 2 out], or undefined where there are none.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& film, Precision precision) const {
    const at::Tensor h = convolution(x, precision);
    return kernels::group_norm(h,
                               {.groups = groups,
                                .scale = scale.unsqueeze(0),
                                .shift = shift.unsqueeze(0),
                                .f = kernels::AfterNorm::mish,
                                .film = film},
                               h.scalar_type());
  }
  void pack(Precision precision) { convolution.pack(precision, false); }
};

class ResidualBlock1d {
 public:
  ResidualBlock1d(Parameters& parameters, const std::string& name, std::int64_t in,
                  std::int64_t out, std::int64_t condition, const ChunkUnetOptions& options)
      : first_(parameters, name + ".blocks.0", in, out, options),
        second_(parameters, name + ".blocks.1", out, out, options),
        modulation_(parameters, name + ".cond_encoder.1", condition, 2 * out,
                    init_by_inputs(condition)) {
    if (in != out)
      skip_.emplace(parameters, name + ".residual_conv", at::IntArrayRef{out, in, 1}, out);
  }

  // x [N, T, in]; condition [N, c], after Mish.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& condition,
                        Precision precision) const {
    const at::Tensor film = modulation_(condition, precision).to(x.scalar_type());
    const at::Tensor h = first_(x, film, precision);
    return second_(h, {}, precision) + (skip_ ? (*skip_)(x, precision) : x);
  }
  void pack(Precision precision) {
    first_.pack(precision);
    second_.pack(precision);
    modulation_.pack(precision);
    if (skip_) skip_->pack(precision, false);
  }

 private:
  ConvolutionBlock first_, second_;
  Linear modulation_;
  std::optional<StepConvolution> skip_;
};

// Two residual blocks, and the convolution to the next level (none at the coarsest).
struct ChunkLevel {
  ResidualBlock1d first, second;
  std::optional<StepConvolution> resample = {};
};

class ChunkUnet final : public Network {
 public:
  ChunkUnet(const ChunkUnetOptions& options, const PictureShape& shape, std::int64_t condition,
            const PictureInput& pictures);
  at::Tensor forward(const NetworkInput& input, ForwardContext& context) override;
  void pack_weights() override;
  at::Tensor encode(const at::Tensor& numbers, const at::Tensor& pictures) const override {
    return condition_.encode(numbers, pictures, precision_);
  }

 private:
  ChunkLevel make_level(const std::string& name, std::int64_t in, std::int64_t out);
  // Of time and condition, after Mish: [N, E + c].
  at::Tensor embed(const NetworkInput& input, at::ScalarType type) const;

  ChunkUnetOptions options_;
  PictureShape shape_;
  ChunkCondition condition_;
  std::vector<ChunkLevel> middle_, up_, down_;  // down: finest first; up: coarsest first
  Linear time_in_, time_out_;
  std::optional<ConvolutionBlock> last_block_;
  std::optional<StepConvolution> last_;
};

// Parameters are declared in the published order.
ChunkUnet::ChunkUnet(const ChunkUnetOptions& options, const PictureShape& shape,
                     std::int64_t condition, const PictureInput& pictures)
    : options_(options), shape_(shape), condition_(parameters_, condition, pictures) {
  check_chunk_unet(options, shape);
  const std::int64_t levels = options.levels(), e = options.embedding;
  const std::int64_t coarsest = options.width(levels - 1), finest = options.width(0);
  const std::int64_t given = e + condition_.width();
  middle_.push_back({.first = {parameters_, "mid_modules.0", coarsest, coarsest, given, options},
                     .second = {parameters_, "mid_modules.1", coarsest, coarsest, given, options}});
  time_in_ = Linear(parameters_, "diffusion_step_encoder.1", e, 4 * e, init_by_inputs(e));
  time_out_ = Linear(parameters_, "diffusion_step_encoder.3", 4 * e, e, init_by_inputs(4 * e));
  for (std::int64_t i = 0; i + 1 < levels; ++i) {
    const std::int64_t out = options.width(levels - 2 - i);
    const std::string name = fmt::format("up_modules.{}", i);
    up_.push_back(make_level(name, 2 * options.width(levels - 1 - i), out));
    up_.back().resample.emplace(parameters_, name + ".2.conv", at::IntArrayRef{out, out, 4}, out);
  }
  for (std::int64_t level = 0; level < levels; ++level) {
    const std::int64_t out = options.width(level);
    const std::string name = fmt::format("down_modules.{}", level);
    down_.push_back(make_level(name, level == 0 ? shape.channels : options.width(level - 1), out));
    if (level + 1 == levels) break;
    down_.back().resample.emplace(parameters_, name + ".2.conv", at::IntArrayRef{out, out, 3}, out);
  }
  last_block_.emplace(parameters_, "final_conv.0", finest, finest, options);
  last_.emplace(parameters_, "final_conv.1", at::IntArrayRef{shape.channels, finest, 1},
                shape.channels);
}

ChunkLevel ChunkUnet::make_level(const std::string& name, std::int64_t in, std::int64_t out) {
  const std::int64_t given = options_.embedding + condition_.width();
  return {.first = {parameters_, name + ".0", in, out, given, options_},
          .second = {parameters_, name + ".1", out, out, given, options_}};
}

at::Tensor ChunkUnet::embed(const NetworkInput& input, at::ScalarType type) const {
  const at::Tensor t = input.t.to(type) * options_.time_scale;
  const at::Tensor features = geometric_sinusoids(t, options_.embedding);
  const at::Tensor inner = at::mish(time_in_(features, precision_));
  const at::Tensor time = time_out_(inner, precision_).to(type);
  return at::mish(condition_.width() > 0 ? at::cat({time, condition_(input, type, precision_)}, 1)
                                         : time);
}

at::Tensor ChunkUnet::forward(const NetworkInput& input, ForwardContext& context) {
  condition_.check(input, context, shape_, "a 1-D U-Net");
  const at::ScalarType type = last_->weight().scalar_type();
  const at::Tensor given = embed(input, type);
  const auto through = [&](const ChunkLevel& level, const at::Tensor& x) {
    return level.second(level.first(x, given, precision_), given, precision_);
  };
  at::Tensor h = input.z.to(type).squeeze(2).transpose(1, 2);  // [N, T, A]
  std::vector<at::Tensor> skips;
  for (const ChunkLevel& level : down_) {
    h = through(level, h);
    skips.push_back(h);
    if (level.resample) h = (*level.resample)(h, precision_, 2);
  }
  h = through(middle_.front(), h);
  for (const ChunkLevel& level : up_) {
    h = through(level, at::cat({h, skips.back()}, 2));
    skips.pop_back();
    h = level.resample->transposed(h, precision_);
  }
  const at::Tensor y = (*last_)((*last_block_)(h, {}, precision_), precision_);
  return y.transpose(1, 2).contiguous().unsqueeze(2);
}

void ChunkUnet::pack_weights() {
  for (auto* levels : {&down_, &middle_, &up_}) {
    for (ChunkLevel& level : *levels) {
      level.first.pack(precision_);
      level.second.pack(precision_);
      if (level.resample) level.resample->pack(precision_, levels == &up_);
    }
  }
  time_in_.pack(precision_);
  time_out_.pack(precision_);
  last_block_->pack(precision_);
  last_->pack(precision_, false);
}

}  // namespace

std::unique_ptr<Network> make_chunk_unet(const ChunkUnetOptions& options, const PictureShape& shape,
                                         std::int64_t condition, const PictureInput& pictures) {
  return std::make_unique<ChunkUnet>(options, shape, condition, pictures);
}

}  // namespace calor::net
