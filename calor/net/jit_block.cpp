#include "calor/net/jit_block.h"

#include <ATen/ATen.h>

#include "calor/net/attention.h"

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
  const std::int64_t n = x.size(0);
  const std::int64_t length = x.size(1);
  const std::int64_t width = x.size(2);
  const at::Tensor qkv =
      qkv_(x, precision).reshape({n, length, 3, heads_, width / heads_}).permute({2, 0, 3, 1, 4});
  const at::Tensor mixed = attend(rotate(q_norm_(qkv[0]), rotary), rotate(k_norm_(qkv[1]), rotary),
                                  qkv[2], training ? dropout_ : 0.0);
  const at::Tensor out = projection_(mixed.transpose(1, 2).reshape({n, length, width}), precision);
  return at::dropout(out, dropout_, training);
}

at::Tensor JitBlock::swiglu(const at::Tensor& x, Precision precision, bool training) const {
  const auto halves = w12_(x, precision).chunk(2, -1);
  const at::Tensor hidden = at::silu(halves[0]) * halves[1];
  return w3_(at::dropout(hidden, dropout_, training), precision);
}

at::Tensor JitBlock::operator()(const at::Tensor& tokens, const at::Tensor& condition,
                                const at::Tensor& rotary, Precision precision,
                                bool training) const {
  // Shift, scale and gate of the attention, then of the MLP; each [N, D].
  const auto c = modulation_(condition, precision).to(at::kFloat).chunk(6, 1);
  const at::Tensor attended =
      attention(modulate(norm1_(tokens), c[0], c[1]), rotary, precision, training);
  const at::Tensor middle = at::addcmul(tokens, c[2].unsqueeze(1), attended.to(at::kFloat));
  const at::Tensor transformed = swiglu(modulate(norm2_(middle), c[3], c[4]), precision, training);
  return at::addcmul(middle, c[5].unsqueeze(1), transformed.to(at::kFloat));
}

}  // namespace calor::net
