// The activations of multi-layer perceptrons: value, and what a backward pass or a tangent needs,
// in one pass over memory; and the readable references that they are tested against.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net {

enum class Activation {
  relu,        // max(a, 0)
  elu,         // a where a > 0, else exp(a) - 1
  softplus20,  // ln(1 + exp(20 a)) / 20, without the usual linear cut-off
  silu,        // a / (1 + exp(-a))
  gelu,        // a times the standard normal's distribution function at a
  tanh,
};

namespace kernels {

// f(a) for any shape, with a gradient. Fused for fp32 and fp64 on the CPU, the reference elsewhere.
// Results do not depend on the number of threads.
at::Tensor activation(const at::Tensor& a, Activation kind);

// The same, operator by operator, for any floating-point type and device, to any derivative.
at::Tensor activation_reference(const at::Tensor& a, Activation kind);
// f'(a), operator by operator.
at::Tensor activation_slope_reference(const at::Tensor& a, Activation kind);

// Whether `activate` and the tangents' kernels serve this tensor: fp32 or fp64, contiguous.
bool has_fast_activation(const at::Tensor& a);

// Whether f' follows from f, so that a backward pass needs nothing but the value. (SiLU and GELU
// are not monotonic; theirs is kept beside the value.)
bool slope_follows_from_value(Activation kind);

// Contiguous fp32 or fp64 without a graph; on a processor on the calling thread, where all serve.

// values [rows, width]: a -> f(a + bias), in place. bias [width] or undefined; slope like values,
// or undefined: receives f'(a + bias).
void activate(const at::Tensor& values, const at::Tensor& bias, const at::Tensor& slope,
              Activation kind);

// gradient [rows, width] *= f', from the value or from `slope` where it is defined; the columns'
// sums of the result are added to `sums` [width] in order of the rows.
void multiply_by_slope(const at::Tensor& gradient, const at::Tensor& values,
                       const at::Tensor& slope, const at::Tensor& sums, Activation kind);

// sums [width] += the columns' sums of x [rows, width], in order of the rows.
void add_column_sums(const at::Tensor& x, const at::Tensor& sums);

// out [n, k, width] = slope [n, 1, width] * tangents, which are [n, k, width] (may be `out` itself)
// or [k, width], the same for every row.
void scale_tangents(const at::Tensor& slope, const at::Tensor& tangents, const at::Tensor& out);

// trace [n] = sum over k and j of slope[n, j] tangents[n, k, j] weight[k, j]; tangents as above.
void contract_tangents(const at::Tensor& slope, const at::Tensor& tangents,
                       const at::Tensor& weight, const at::Tensor& trace);

}  // namespace kernels
}  // namespace calor::net
