// Numbers as a layer stores them (fp32, fp64, or bf16 beside fp32) and as a kernel computes with
// them; sums that every vector width adds in the same order.
#pragma once

#include <ATen/core/Tensor.h>

#include <bit>
#include <cstdint>

#include "calor/net/kernels/clones.h"
#include "calor/net/kernels/row_pieces.h"

namespace calor::net::kernels {

// What numbers of the stored type S are computed in.
template <class S>
struct ComputedIn {
  using type = S;
};
template <>
struct ComputedIn<at::BFloat16> {
  using type = float;
};
template <class S>
using Computed = typename ComputedIn<S>::type;

CALOR_INLINE float computed(float x) { return x; }
CALOR_INLINE double computed(double x) { return x; }
CALOR_INLINE float computed(at::BFloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.x) << 16U);
}

CALOR_INLINE void store(float x, float& out) { out = x; }
CALOR_INLINE void store(double x, double& out) { out = x; }
// To the nearest, ties to even; what is no number stays none.
CALOR_INLINE void store(float x, at::BFloat16& out) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  out.x = static_cast<std::uint16_t>(x == x ? rounded : 0x7FC0U);
}

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

// Whether the loops over stored numbers serve: on the CPU, wide numbers of the one type beside
// stored ones of the other.
inline bool has_stored_loop(const at::Tensor& wide, at::ScalarType stored) {
  return wide.is_cpu() && wide.numel() > 0 && is_stored_type(stored) &&
         wide.scalar_type() == computed_type(stored);
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
