#include "calor/net/jit_block.h"

#include <ATen/ATen.h>

#include "calor/net/attention.h"
#include "calor/net/kernels/add_gated.h"
#include "calor/net/kernels/swiglu.h"
#include "calor/net/kernels/turned_heads.h"

namespace calor::net {
namespace {

// int(int(4 D) * 2/3), as in the official code.
std::int64_t swiglu_width(std::int64_t width) { return width * 4 * 2 / 3; }

}  // namespace

JitBlock::JitBlock(Parameters& parameters, const std::string& name, std::int64_t width,
                   std::int64_t heads, double dropout)
    : heads_(heads), dropout_(dropout) {
  norm1_ = RmsNorm(parameters, name + ".norm1", width);
  q_norm_ = RmsNorm(parameters, name + ".attn.q_norm", width / heads);
  k_norm_ = RmsNorm(parameters, name + ".attn.k_norm", width / heads);
  qkv_ = Linear(parameters, name + ".attn.qkv", width, 3 * width);
  projection_ = Linear(parameters, name + ".attn.proj", width, width);
  norm2_ = RmsNorm(parameters, name + ".norm2", width);
  w12_ = Linear(parameters, name + ".mlp.w12", width, 2 * swiglu_width(width));
  w3_ = Linear(parameters, name + ".mlp.w3", swiglu_width(width), width);
  modulation_ = Linear(parameters, name + ".adaLN_modulation.1", width, 6 * width, init_zeros);
}

at::Tensor JitBlock::attention(const at::Tensor& x, const at::Tensor& rotary, Precision precision,
                               bool training) const {
  const kernels::Heads heads =
      kernels::turned_heads(qkv_(x, precision), heads_, q_norm_.weight, k_norm_.weight, rotary);
  const at::Tensor mixed = attend(heads.q, heads.k, heads.v, training ? dropout_ : 0.0);
  const at::Tensor out = projection_(mixed.transpose(1, 2).flatten(2), precision);
  return at::dropout(out, dropout_, training);
}

at::Tensor JitBlock::swiglu(const at::Tensor& x, Precision precision, bool training) const {
  const at::Tensor hidden = kernels::swiglu(w12_(x, precision));
  return w3_(at::dropout(hidden, dropout_, training), precision);
}

at::Tensor JitBlock::operator()(const at::Tensor& tokens, const at::Tensor& condition,
                                const at::Tensor& rotary, Precision precision,
                                bool training) const {
  // Shift, scale and gate of the attention, then of the MLP; each [N, D].
  const auto c = modulation_(condition, precision).to(at::kFloat).chunk(6, 1);
  const at::Tensor attended =
      attention(norm1_.modulated(tokens, c[0], c[1], precision), rotary, precision, training);
  const at::Tensor middle = kernels::add_gated(tokens, c[2], attended);
  const at::Tensor transformed =
      swiglu(norm2_.modulated(middle, c[3], c[4], precision), precision, training);
  return kernels::add_gated(middle, c[5], transformed);
}

}  // namespace calor::net
