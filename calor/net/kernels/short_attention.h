// Attention between the few tokens of a small picture, all of whose weights are kept: plain
// products and one pass over the weights, forward and backward; and the readable reference that it
// is tested against. LibTorch's fused kernel is several times slower backwards at these lengths.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// softmax(q k^T / sqrt(d)) v. q, k [N, heads, L, d] in fp32 (fp64), v the same shape and type or
// bf16 -> [N, heads, L, d] of the type of v. Logits and softmax are in the type of q; the weights
// multiply v in that of v. Fused on the CPU, the reference elsewhere.
at::Tensor short_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// The same, operator by operator, for any device; `dropout` acts on the weights.
at::Tensor short_attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     double dropout = 0);

}  // namespace calor::net::kernels
