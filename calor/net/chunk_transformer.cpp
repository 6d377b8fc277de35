#include "calor/net/chunk_transformer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <optional>
#include <vector>

#include "calor/core/error.h"
#include "calor/net/attention.h"
#include "calor/net/chunk_condition.h"
#include "calor/net/layers.h"

namespace calor::net {
namespace {

constexpr double position_std = 0.02;

at::Tensor layer_norm(const at::Tensor& x) { return at::layer_norm(x, {x.size(-1)}, {}, {}, 1e-6); }

// Linear, SiLU, Linear.
struct Embedding {
  Linear in, out;

  Embedding(Parameters& parameters, const std::string& name, std::int64_t numbers,
            std::int64_t width)
      : in(parameters, name + ".0", numbers, width), out(parameters, name + ".2", width, width) {}

  at::Tensor operator()(const at::Tensor& x, Precision precision) const {
    return out(at::silu(in(x, precision)), precision).to(x.scalar_type());
  }
};

class TransformerBlock {
 public:
  TransformerBlock(Parameters& parameters, const std::string& name, std::int64_t width,
                   std::int64_t heads)
      : heads_(heads),
        qkv_(parameters, name + ".attn.qkv", width, 3 * width),
        projection_(parameters, name + ".attn.proj", width, width),
        in_(parameters, name + ".mlp.0", width, 4 * width),
        out_(parameters, name + ".mlp.2", 4 * width, width),
        modulation_(parameters, name + ".modulation.1", width, 6 * width, init_zeros) {}

  // h [N, T, D]; condition [N, D], after SiLU.
  at::Tensor operator()(const at::Tensor& h, const at::Tensor& condition,
                        Precision precision) const {
    const at::ScalarType type = h.scalar_type();
    // Shift, scale and gate of the attention, then of the MLP; each [N, D].
    const auto c = modulation_(condition, precision).to(type).chunk(6, 1);
    const at::Tensor attended = attention(modulate(layer_norm(h), c[0], c[1]), precision);
    const at::Tensor middle = at::addcmul(h, c[2].unsqueeze(1), attended.to(type));
    const at::Tensor inner = in_(modulate(layer_norm(middle), c[3], c[4]), precision);
    return at::addcmul(middle, c[5].unsqueeze(1),
                       out_(at::gelu(inner, "tanh"), precision).to(type));
  }

 private:
  at::Tensor attention(const at::Tensor& x, Precision precision) const {
    const std::int64_t n = x.size(0), steps = x.size(1), width = x.size(2);
    const at::Tensor qkv =
        qkv_(x, precision).view({n, steps, 3, heads_, width / heads_}).permute({2, 0, 3, 1, 4});
    const at::ScalarType type = x.scalar_type();
    const at::Tensor mixed = attend(qkv[0].to(type), qkv[1].to(type), qkv[2], 0);
    return projection_(mixed.transpose(1, 2).reshape({n, steps, width}), precision);
  }

  std::int64_t heads_;
  Linear qkv_, projection_, in_, out_, modulation_;
};

class ChunkTransformer final : public Network {
 public:
  ChunkTransformer(const ChunkTransformerOptions& options, const PictureShape& shape,
                   std::int64_t condition, const PictureInput& pictures);
  at::Tensor forward(const NetworkInput& input, ForwardContext& context) override;
  at::Tensor encode(const at::Tensor& numbers, const at::Tensor& pictures) const override {
    return condition_.encode(numbers, pictures, precision_);
  }

 private:
  // Of time and observation, after SiLU: [N, D].
  at::Tensor embed(const NetworkInput& input, at::ScalarType type) const;

  ChunkTransformerOptions options_;
  PictureShape shape_;
  ChunkCondition condition_;
  Linear tokens_;
  at::Tensor positions_;  // [T, D]
  std::optional<Embedding> time_, observation_;
  std::vector<TransformerBlock> blocks_;
  Linear last_modulation_, last_;
};

ChunkTransformer::ChunkTransformer(const ChunkTransformerOptions& options,
                                   const PictureShape& shape, std::int64_t condition,
                                   const PictureInput& pictures)
    : options_(options), shape_(shape), condition_(parameters_, condition, pictures) {
  check_chunk_transformer(options, shape);
  const std::int64_t d = options.width;
  tokens_ = Linear(parameters_, "tokens", shape.channels, d);
  positions_ = parameters_.add("positions", {shape.width, d}, init_normal(position_std));
  time_.emplace(parameters_, "time", d, d);
  if (condition_.width() > 0)
    observation_.emplace(parameters_, "observation", condition_.width(), d);
  for (std::int64_t k = 0; k < options.depth; ++k) {
    blocks_.emplace_back(parameters_, fmt::format("blocks.{}", k), d, options.heads);
  }
  last_modulation_ = Linear(parameters_, "final.modulation.1", d, 2 * d, init_zeros);
  last_ = Linear(parameters_, "final.linear", d, shape.channels, init_zeros);
}

at::Tensor ChunkTransformer::embed(const NetworkInput& input, at::ScalarType type) const {
  const at::Tensor t = input.t.to(type) * options_.time_scale;
  const at::Tensor time = (*time_)(geometric_sinusoids(t, options_.width), precision_);
  if (!observation_) return at::silu(time);
  return at::silu(time + (*observation_)(condition_(input, type, precision_), precision_));
}

at::Tensor ChunkTransformer::forward(const NetworkInput& input, ForwardContext& context) {
  condition_.check(input, context, shape_, "a transformer of chunks");
  const at::ScalarType type = positions_.scalar_type();
  const at::Tensor given = embed(input, type);
  const at::Tensor actions = input.z.to(type).squeeze(2).transpose(1, 2);  // [N, T, A]
  at::Tensor h = tokens_(actions, precision_).to(type) + positions_;
  for (const TransformerBlock& block : blocks_) h = block(h, given, precision_);
  const auto c = last_modulation_(given, precision_).to(type).chunk(2, 1);
  const at::Tensor said = last_(modulate(layer_norm(h), c[0], c[1]), precision_).to(type);
  return said.transpose(1, 2).unsqueeze(2);
}

}  // namespace

void ChunkTransformerOptions::declare(config::Options& options) {
  options.add("chunk_transformer.width", width, {4, 16384}, "",
              "numbers of each action's token; even, and the heads divide it");
  options.add("chunk_transformer.depth", depth, {1, 200}, "blocks", "blocks of the transformer");
  options.add("chunk_transformer.heads", heads, {1, 256}, "heads", "heads of the attention");
  options.add("chunk_transformer.time_scale", time_scale, {1e-3, 1e6}, "",
              "the time's sinusoids see this times t");
}

void check_chunk_transformer(const ChunkTransformerOptions& options, const PictureShape& shape) {
  require_usage(options.width % options.heads == 0,
                fmt::format("a chunk_transformer.width that is a multiple of "
                            "chunk_transformer.heads = {}",
                            options.heads),
                fmt::format("{}", options.width), "change either");
  require_usage(options.width % 2 == 0 && options.width >= 4,
                "an even chunk_transformer.width of 4 or more", fmt::format("{}", options.width),
                "take 128, say");
  require_usage(shape.height == 1, "chunks of actions, one row of steps",
                fmt::format("{} x {}", shape.height, shape.width),
                "train on demonstrations, or set another net.kind");
}

std::unique_ptr<Network> make_chunk_transformer(const ChunkTransformerOptions& options,
                                                const PictureShape& shape, std::int64_t condition,
                                                const PictureInput& pictures) {
  return std::make_unique<ChunkTransformer>(options, shape, condition, pictures);
}

}  // namespace calor::net
