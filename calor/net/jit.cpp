#include "calor/net/jit.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "calor/net/jit_block.h"
#include "calor/net/layers.h"

namespace calor::net {
namespace {

// A convolution of stride and size `patch` without overlap is a matrix product on patches.
at::Tensor to_patches(const at::Tensor& z, std::int64_t patch) {
  const std::int64_t n = z.size(0);
  const std::int64_t c = z.size(1);
  const std::int64_t rows = z.size(2) / patch;
  const std::int64_t columns = z.size(3) / patch;
  return z.reshape({n, c, rows, patch, columns, patch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n, rows * columns, c * patch * patch});
}

// [N, L, patch * patch * C], each patch as (row, column, channel), to [N, C, H, W].
at::Tensor from_patches(const at::Tensor& tokens, std::int64_t patch, std::int64_t channels,
                        std::int64_t rows, std::int64_t columns) {
  return tokens.reshape({-1, rows, columns, patch, patch, channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({-1, channels, rows * patch, columns * patch});
}

// Two 3x3 convolutions after the head, which then makes feature channels instead of the picture.
// They see across patch borders, and the noisy picture itself, so no grid is left at the patch
// period.
struct Refinement {
  at::Tensor weight1, bias1, weight2, bias2;

  Refinement() = default;
  Refinement(Parameters& parameters, std::int64_t features, std::int64_t channels)
      : weight1(parameters.add("net.refine.0.weight", {features, features + channels, 3, 3},
                               init_xavier)),
        bias1(parameters.add("net.refine.0.bias", {features}, init_zeros)),
        weight2(parameters.add("net.refine.2.weight", {channels, features, 3, 3}, init_zeros)),
        bias2(parameters.add("net.refine.2.bias", {channels}, init_zeros)) {}

  at::Tensor operator()(const at::Tensor& features, const at::Tensor& z) const {
    const at::Tensor hidden = at::conv2d(at::cat({features, z}, 1), weight1, bias1, 1, 1);
    return at::conv2d(at::silu(hidden), weight2, bias2, 1, 1);
  }
};

class Jit final : public Network {
 public:
  Jit(const JitOptions& options, const PictureShape& shape);
  at::Tensor forward(const NetworkInput& input, ForwardContext& context) override;

 private:
  at::Tensor embed_picture(const at::Tensor& z) const;
  at::Tensor embed_condition(const at::Tensor& t, const at::Tensor& label) const;
  at::Tensor with_context(const at::Tensor& tokens, const at::Tensor& label) const;
  at::Tensor head(const at::Tensor& tokens, const at::Tensor& activated_condition) const;
  // Moves the rotary tables to the device of the pictures, once.
  void place_tables(at::Device device);

  JitOptions options_;
  PictureShape shape_;
  std::int64_t rows_, columns_;
  at::Tensor positions_, context_positions_, patch_weight_, label_table_;
  at::Tensor projection_weight_, projection_bias_;
  Linear time_in_, time_out_, head_modulation_, head_out_;
  RmsNorm head_norm_;
  Refinement refinement_;
  std::vector<JitBlock> blocks_;
  at::Tensor rotary_, rotary_with_context_;  // see rotary_table()
};

Jit::Jit(const JitOptions& options, const PictureShape& shape)
    : options_(options),
      shape_(shape),
      rows_(shape.height / options.patch),
      columns_(shape.width / options.patch) {
  check_jit(options, shape);
  const std::int64_t d = options.width;
  const std::int64_t p = options.patch;
  positions_ = parameters_.add_fixed("net.pos_embed", sincos_positions(rows_, columns_, d));
  if (options.context_tokens > 0) {
    context_positions_ =
        parameters_.add("net.in_context_posemb", {1, options.context_tokens, d}, init_normal(0.02));
  }
  time_in_ = Linear(parameters_, "net.t_embedder.mlp.0", 256, d, init_normal(0.02));
  time_out_ = Linear(parameters_, "net.t_embedder.mlp.2", d, d, init_normal(0.02));
  label_table_ = parameters_.add("net.y_embedder.embedding_table.weight", {shape.classes + 1, d},
                                 init_normal(0.02));
  patch_weight_ = parameters_.add("net.x_embedder.proj1.weight",
                                  {options.bottleneck, shape.channels, p, p}, init_xavier);
  projection_weight_ =
      parameters_.add("net.x_embedder.proj2.weight", {d, options.bottleneck, 1, 1}, init_xavier);
  projection_bias_ = parameters_.add("net.x_embedder.proj2.bias", {d}, init_zeros);
  for (std::int64_t i = 0; i < options.depth; ++i) {
    // Dropout acts in the middle half of the blocks.
    const bool middle = i >= options.depth / 4 && i < options.depth / 4 * 3;
    blocks_.emplace_back(parameters_, fmt::format("net.blocks.{}", i), d, options.heads,
                         middle ? options.dropout : 0);
  }
  head_norm_ = RmsNorm(parameters_, "net.final_layer.norm_final", d);
  head_modulation_ =
      Linear(parameters_, "net.final_layer.adaLN_modulation.1", d, 2 * d, init_zeros);
  const std::int64_t features = options.refine > 0 ? options.refine : shape.channels;
  head_out_ = Linear(parameters_, "net.final_layer.linear", d, p * p * features,
                     options.refine > 0 ? init_xavier : init_zeros);
  if (options.refine > 0) refinement_ = Refinement(parameters_, features, shape.channels);
  const std::int64_t head_dim = d / options.heads;
  rotary_ = rotary_table(0, rows_, columns_, head_dim);
  rotary_with_context_ = rotary_table(options.context_tokens, rows_, columns_, head_dim);
}

void Jit::place_tables(at::Device device) {
  if (rotary_.device() == device) return;
  rotary_ = rotary_.to(device);
  rotary_with_context_ = rotary_with_context_.to(device);
}

at::Tensor Jit::embed_picture(const at::Tensor& z) const {
  const Linear first(patch_weight_.flatten(1), at::Tensor());
  const Linear second(projection_weight_.flatten(1), projection_bias_);
  return second(first(to_patches(z, options_.patch), precision_), precision_).to(at::kFloat) +
         positions_;
}

// c = time + label, [N, D], fp32.
at::Tensor Jit::embed_condition(const at::Tensor& t, const at::Tensor& label) const {
  const at::Tensor hidden = at::silu(time_in_(time_sinusoid(t), precision_));
  return time_out_(hidden, precision_).to(at::kFloat) + label;
}

// In-context class tokens: copies of the label's embedding with learnt positions, in front.
at::Tensor Jit::with_context(const at::Tensor& tokens, const at::Tensor& label) const {
  return at::cat({label.unsqueeze(1) + context_positions_, tokens}, 1);
}

at::Tensor Jit::head(const at::Tensor& tokens, const at::Tensor& activated_condition) const {
  const auto parts = head_modulation_(activated_condition, precision_).to(at::kFloat).chunk(2, 1);
  const at::Tensor normal = head_norm_.modulated(tokens, parts[0], parts[1], precision_);
  const at::Tensor out = head_out_(normal, precision_).to(at::kFloat);
  const std::int64_t features = options_.refine > 0 ? options_.refine : shape_.channels;
  return from_patches(out, options_.patch, features, rows_, columns_);
}

at::Tensor Jit::forward(const NetworkInput& input, ForwardContext& context) {
  place_tables(input.z.device());
  if (context.dropout && options_.dropout > 0) seed_device(*context.dropout, input.z.device());
  const bool training = context.dropout.has_value();

  const at::Tensor label = at::embedding(label_table_, input.y);
  const at::Tensor condition = at::silu(embed_condition(input.t, label));
  at::Tensor tokens = embed_picture(input.z);
  std::int64_t in_front = 0;
  for (std::int64_t i = 0; i < options_.depth; ++i) {
    if (i == options_.context_start && options_.context_tokens > 0) {
      tokens = with_context(tokens, label);
      in_front = options_.context_tokens;
    }
    const at::Tensor& rotary = in_front > 0 ? rotary_with_context_ : rotary_;
    tokens = blocks_[static_cast<std::size_t>(i)](tokens, condition, rotary, precision_, training);
    if (std::find(context.taps.begin(), context.taps.end(), i) != context.taps.end()) {
      context.tokens.push_back(tokens.slice(1, in_front));
    }
  }
  const at::Tensor picture = head(tokens.slice(1, in_front), condition);
  return options_.refine > 0 ? refinement_(picture, input.z) : picture;
}

}  // namespace

std::unique_ptr<Network> make_jit(const JitOptions& options, const PictureShape& shape) {
  return std::make_unique<Jit>(options, shape);
}

}  // namespace calor::net
