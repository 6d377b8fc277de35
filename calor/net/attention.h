// Attention between the tokens of one picture.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net {

// softmax(q k^T / sqrt(d)) v with logits in the type of q and k, which is at least fp32; v and the
// result have the type of the products; all [N, heads, tokens, d]. `dropout` acts on the weights.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double dropout);

}  // namespace calor::net
