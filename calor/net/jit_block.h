// One block of JiT: attention and SwiGLU, each behind an RMS norm that the condition shifts and
// scales, each gated by the condition.
#pragma once

#include <string>

#include "calor/net/layers.h"

namespace calor::net {

class JitBlock {
 public:
  JitBlock(Parameters& parameters, const std::string& name, std::int64_t width, std::int64_t heads,
           double dropout);

  // tokens [N, L, D] fp32; condition [N, D] fp32 after SiLU.
  at::Tensor operator()(const at::Tensor& tokens, const at::Tensor& condition,
                        const at::Tensor& rotary, Precision precision, bool training) const;

 private:
  at::Tensor attention(const at::Tensor& x, const at::Tensor& rotary, Precision precision,
                       bool training) const;
  at::Tensor swiglu(const at::Tensor& x, Precision precision, bool training) const;

  std::int64_t heads_;
  double dropout_;
  RmsNorm norm1_, norm2_, q_norm_, k_norm_;
  Linear qkv_, projection_, w12_, w3_, modulation_;
};

}  // namespace calor::net
