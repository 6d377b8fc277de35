// What a U-Net is made of: the residual block that time and label scale and shift, and
// self-attention between pixels.
#pragma once

#include <optional>
#include <string>

#include "calor/net/convolution.h"
#include "calor/net/group_norm.h"
#include "calor/net/layers.h"

namespace calor::net {

// What the blocks of one pass share.
struct UnetPass {
  at::Tensor embedding;  // of time and label, after SiLU: [N, E]
  Precision precision = Precision::fp32;
  bool dropout = false;
};

// With GN the group normalisation without learnt numbers, and (s, b) = Linear(embedding):
//
//     h = conv1(silu(weight * GN(x) + bias))
//     h = conv2(dropout(silu((1 + s) * GN(h) + b)))
//     result = skip(x) + h
//
// The Linear's own bias is the second norm's learnt scale and shift. skip is the identity, or a 1x1
// convolution where the widths differ. The Linear and conv2 begin at zero.
class ResidualBlock {
 public:
  ResidualBlock(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                std::int64_t embedding, std::int64_t groups, double dropout);
  // x [N, in, H, W] to [N, out, H, W], in the type of the parameters.
  at::Tensor operator()(const at::Tensor& x, const UnetPass& pass) const;

 private:
  std::int64_t groups_;
  double dropout_;
  ChannelAffine norm1_;
  Convolution conv1_, conv2_;
  Linear modulation_;
  std::optional<Convolution> skip_;
};

// x + proj(heads(softmax(q k^T / sqrt(d)) v)), (q, k, v) = qkv(weight * GN(x) + bias), where every
// pixel is a token. proj begins at zero.
class AttentionBlock {
 public:
  AttentionBlock(Parameters& parameters, const std::string& name, std::int64_t width,
                 std::int64_t head_width, std::int64_t groups);
  // x [N, width, H, W], and so the result.
  at::Tensor operator()(const at::Tensor& x, const UnetPass& pass) const;

 private:
  std::int64_t heads_, groups_;
  ChannelAffine norm_;
  Linear qkv_, projection_;
};

}  // namespace calor::net
