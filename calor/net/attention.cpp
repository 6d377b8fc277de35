#include "calor/net/attention.h"

#include <ATen/ATen.h>

#include "calor/net/kernels/short_attention.h"

namespace calor::net {

// LibTorch's fused kernel keeps logits in fp32 too and is the choice on GPUs and for long
// sequences.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double dropout) {
  constexpr std::int64_t long_sequence = 512;
  if (!q.is_cpu() || q.size(2) > long_sequence) {
    const at::ScalarType type = v.scalar_type();
    return at::scaled_dot_product_attention(q.to(type), k.to(type), v, {}, dropout);
  }
  if (dropout > 0) return kernels::short_attention_reference(q, k, v, dropout);
  return kernels::short_attention(q, k, v);
}

}  // namespace calor::net
