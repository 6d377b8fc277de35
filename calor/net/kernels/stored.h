// Loops over tensors of stored numbers, on all threads; sums that every vector width adds in the
// same order.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/net/kernels/clones.h"
#include "calor/net/kernels/row_pieces.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels {

// Calls body(S{}) with the type that a tensor stores: fp32, fp64 or bf16.
template <class Body>
void by_stored_type(at::ScalarType type, const Body& body) {
  if (type == at::kBFloat16) {
    body(at::BFloat16{});
  } else if (type == at::kFloat) {
    body(float{});
  } else {
    body(double{});
  }
}

inline bool is_stored_type(at::ScalarType type) {
  return type == at::kBFloat16 || type == at::kFloat || type == at::kDouble;
}

// body(S{}, begin, count) for each piece of at most `largest` rows, on all threads.
template <class Body>
void for_stored_pieces(at::ScalarType type, std::int64_t rows, std::int64_t largest,
                       const Body& body) {
  by_stored_type(type, [&](auto stored) {
    for_row_pieces(rows, largest,
                   [&](std::int64_t begin, std::int64_t count) { body(stored, begin, count); });
  });
}

// body(S{}, i) for each of n samples, on all threads.
template <class Body>
void for_stored_samples(at::ScalarType type, std::int64_t n, const Body& body) {
  constexpr std::int64_t samples_at_once = 4;
  for_stored_pieces(type, n, samples_at_once,
                    [&](auto stored, std::int64_t begin, std::int64_t count) {
                      for (std::int64_t i = begin; i < begin + count; ++i) body(stored, i);
                    });
}

// The type beside which a layer stores the given one: residual sums and gradients of norms stay
// fp32 where products are bf16.
inline at::ScalarType computed_type(at::ScalarType stored) {
  return stored == at::kBFloat16 ? at::kFloat : stored;
}

// Defines run(const Task<S>&) for each stored type S, as loop(task), at the width of the processor.
#define CALOR_RUN_STORED(Task, loop)                                    \
  CALOR_CLONES void run(const Task<float>& task) { loop(task); }        \
  CALOR_CLONES void run(const Task<at::BFloat16>& task) { loop(task); } \
  void run(const Task<double>& task) { loop(task); }

// Whether kernels know such numbers: wide ones of the one type beside stored ones of the other.
inline bool are_stored_numbers(const at::Tensor& wide, at::ScalarType stored) {
  return wide.numel() > 0 && is_stored_type(stored) && wide.scalar_type() == computed_type(stored);
}
// Whether the loops serve for them.
inline bool has_stored_loop(const at::Tensor& wide, at::ScalarType stored) {
  return wide.is_cpu() && are_stored_numbers(wide, stored);
}

// Rows whose numbers lie side by side: [N, D], which may be some columns of a wider tensor.
inline at::Tensor side_by_side(const at::Tensor& x) {
  return x.dim() == 2 && x.stride(1) == 1 ? x : x.contiguous();
}

// term(0) + ... + term(count - 1), in sixteen interleaved sums.
template <class T, class Term>
CALOR_INLINE T sum_of_terms(std::int64_t count, const Term& term) {
  constexpr std::int64_t lanes = 16;
  T sums[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
#pragma omp simd
    for (std::int64_t k = 0; k < lanes; ++k) sums[k] += term(i + k);
  }
  for (std::int64_t k = 0; i + k < count; ++k) sums[k] += term(i + k);
  for (std::int64_t half = lanes / 2; half > 0; half /= 2) {
    for (std::int64_t k = 0; k < half; ++k) sums[k] += sums[k + half];
  }
  return sums[0];
}

}  // namespace calor::net::kernels
