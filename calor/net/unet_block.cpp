#include "calor/net/unet_block.h"

#include <ATen/ATen.h>

#include "calor/net/attention.h"

namespace calor::net {

ResidualBlock::ResidualBlock(Parameters& parameters, const std::string& name, std::int64_t in,
                             std::int64_t out, std::int64_t embedding, std::int64_t groups,
                             double dropout)
    : groups_(groups), dropout_(dropout) {
  norm1_ = ChannelAffine(parameters, name + ".norm1", in);
  conv1_ = Convolution(parameters, name + ".conv1", in, out);
  modulation_ = Linear(parameters, name + ".modulation", embedding, 2 * out, init_zeros);
  conv2_ = Convolution(parameters, name + ".conv2", out, out, 3, init_zeros);
  if (in != out) skip_ = Convolution(parameters, name + ".skip", in, out, 1);
}

at::Tensor ResidualBlock::operator()(const at::Tensor& x, const UnetPass& pass) const {
  const auto modulation =
      modulation_(pass.embedding, pass.precision).to(pass.embedding.scalar_type()).chunk(2, 1);
  const auto type = conv1_.type(pass.precision);
  at::Tensor h =
      conv1_(group_norm_silu(x, groups_, norm1_.scale(), norm1_.shift(), type), pass.precision);
  // Dropout divides by the share that is kept, which bf16 would round for all alike.
  const bool drops = pass.dropout && dropout_ > 0;
  h = group_norm_silu(h, groups_, 1 + modulation[0], modulation[1], drops ? x.scalar_type() : type);
  if (drops) h = at::dropout(h, dropout_, true);
  h = conv2_(h, pass.precision).to(x.scalar_type());
  return h + (skip_ ? (*skip_)(x, pass.precision).to(x.scalar_type()) : x);
}

AttentionBlock::AttentionBlock(Parameters& parameters, const std::string& name, std::int64_t width,
                               std::int64_t head_width, std::int64_t groups)
    : heads_(width / head_width), groups_(groups) {
  norm_ = ChannelAffine(parameters, name + ".norm", width);
  qkv_ = Linear(parameters, name + ".qkv", width, 3 * width);
  projection_ = Linear(parameters, name + ".proj", width, width, init_zeros);
}

at::Tensor AttentionBlock::operator()(const at::Tensor& x, const UnetPass& pass) const {
  const std::int64_t n = x.size(0);
  const std::int64_t c = x.size(1);
  const at::ScalarType type = x.scalar_type();
  // [N, C, H, W] channels last is [N, H W, C] as it lies.
  const at::Tensor tokens = group_norm(x, groups_, norm_.scale(), norm_.shift(),
                                       product_type(qkv_.weight, pass.precision))
                                .permute({0, 2, 3, 1})
                                .flatten(1, 2);
  const at::Tensor qkv = qkv_(tokens, pass.precision)
                             .reshape({n, tokens.size(1), 3, heads_, c / heads_})
                             .permute({2, 0, 3, 1, 4});
  const at::Tensor mixed = attend(qkv[0].to(type), qkv[1].to(type), qkv[2], 0);
  const at::Tensor out = projection_(mixed.transpose(1, 2).flatten(2), pass.precision).to(type);
  return x + out.unflatten(1, {x.size(2), x.size(3)}).permute({0, 3, 1, 2});
}

}  // namespace calor::net
