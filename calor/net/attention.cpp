#include "calor/net/attention.h"

#include <ATen/ATen.h>

#include <cmath>

namespace calor::net {

// LibTorch's fused kernel keeps logits in fp32 too and is the choice on GPUs and for long
// sequences; on CPUs its backward pass is several times slower than plain products at the few dozen
// tokens of a small picture.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double dropout) {
  constexpr std::int64_t long_sequence = 512;
  if (!q.is_cpu() || q.size(2) > long_sequence) {
    const at::ScalarType type = v.scalar_type();
    return at::scaled_dot_product_attention(q.to(type), k.to(type), v, {}, dropout);
  }
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor weights = at::softmax(at::matmul(q * scale, k.transpose(-2, -1)), -1);
  return at::matmul(at::dropout(weights, dropout, dropout > 0).to(v.scalar_type()), v);
}

}  // namespace calor::net
