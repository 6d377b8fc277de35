// From the product that makes queries, keys and values to attention: heads apart, queries and keys
// normalised and turned by their positions, in one pass forward and one backward, saving only the
// product; and the readable reference that it is tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// Each [N, heads, L, d], contiguous; values as given, queries and keys too on a GPU, whose
// attention takes one type; in fp32 (fp64) elsewhere.
struct Heads {
  at::Tensor q, k, v;
};

// qkv [N, L, 3 heads d] = [q | k | v], each head by head; fp32, fp64 or bf16. Every head of q and k
// is normalised (RMS, weights [d]), then each adjacent pair of its numbers turned, as a complex
// number, by `table` [L, d / 2] of complex units. Fused on the CPU and where gpu/ serves, the
// reference elsewhere.
// Results do not depend on the number of threads.
Heads turned_heads(const at::Tensor& qkv, std::int64_t heads, const at::Tensor& q_weight,
                   const at::Tensor& k_weight, const at::Tensor& table);

// The same, operator by operator, for any device.
Heads turned_heads_reference(const at::Tensor& qkv, std::int64_t heads, const at::Tensor& q_weight,
                             const at::Tensor& k_weight, const at::Tensor& table);

}  // namespace calor::net::kernels
