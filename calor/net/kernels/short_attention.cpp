#include "calor/net/kernels/short_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "calor/net/kernels/activation_math.h"
#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels {
namespace {

constexpr std::int64_t rows_at_once = 256;

// Rows of logits, in place, become weights; and a copy of them as the product takes it.
template <class S, class T = Computed<S>>
struct Forward {
  T* logits;  // [rows, width]
  S* copy;    // [rows, width]; the logits themselves where they have the type already
  std::int64_t rows, width;
};

template <class S, class T>
CALOR_INLINE void forward_loop(const Forward<S, T>& task) {
  for (std::int64_t row = 0; row < task.rows; ++row) {
    T* values = task.logits + row * task.width;
    S* copy = task.copy + row * task.width;
    T largest = values[0];
#pragma omp simd reduction(max : largest)
    for (std::int64_t j = 0; j < task.width; ++j) largest = larger(largest, values[j]);
#pragma omp simd
    for (std::int64_t j = 0; j < task.width; ++j) values[j] = exp_of(values[j] - largest);
    const T share = T(1) / sum_of_terms<T>(task.width, [&](std::int64_t j) { return values[j]; });
#pragma omp simd
    for (std::int64_t j = 0; j < task.width; ++j) {
      values[j] *= share;
      store(values[j], copy[j]);
    }
  }
}

// With p the weights and g their gradient: p (g - sum p g), row by row.
template <class S, class T = Computed<S>>
struct Backward {
  const S* gradient;
  const T* weights;
  T* dlogits;
  std::int64_t rows, width;
};

template <class S, class T>
CALOR_INLINE void backward_loop(const Backward<S, T>& task) {
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const S* __restrict__ g = task.gradient + row * task.width;
    const T* __restrict__ p = task.weights + row * task.width;
    T* __restrict__ out = task.dlogits + row * task.width;
    const T mean =
        sum_of_terms<T>(task.width, [&](std::int64_t j) { return computed(g[j]) * p[j]; });
    for (std::int64_t j = 0; j < task.width; ++j) out[j] = p[j] * (computed(g[j]) - mean);
  }
}

CALOR_RUN_STORED(Forward, forward_loop)
CALOR_RUN_STORED(Backward, backward_loop)

// alpha a b, batch by batch.
at::Tensor scaled_product(double alpha, const at::Tensor& a, const at::Tensor& b) {
  at::Tensor out = at::empty({a.size(0), a.size(1), b.size(2)}, a.options());
  at::baddbmm_out(out, out, a, b, 0, alpha);
  return out;
}

class ShortAttention final : public torch::autograd::Function<ShortAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q_any,
                            const at::Tensor& k_any, const at::Tensor& v_any) {
    const at::Tensor q = q_any.contiguous().flatten(0, 1), k = k_any.contiguous().flatten(0, 1);
    const at::Tensor v = v_any.contiguous().flatten(0, 1);
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
    const at::Tensor weights = scaled_product(scale, q, k.transpose(1, 2));
    const bool same = v.scalar_type() == q.scalar_type();
    const at::Tensor copy = same ? weights : at::empty(weights.sizes(), v.options());
    const std::int64_t width = weights.size(2), rows = weights.numel() / width;
    const auto piece = [&](auto stored, std::int64_t begin, std::int64_t count) {
      using S = decltype(stored);
      using T = Computed<S>;
      run(Forward<S>{pointer<T>(weights) + begin * width, pointer<S>(copy) + begin * width, count,
                     width});
    };
    for_stored_pieces(v.scalar_type(), rows, rows_at_once, piece);
    context->save_for_backward({q, k, v, weights, copy});
    return at::bmm(copy, v).view(v_any.sizes());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &weights = saved[3];
    const at::Tensor g = gradients[0].contiguous().flatten(0, 1);
    const at::Tensor dv = at::bmm(saved[4].transpose(1, 2), g);
    const at::Tensor dweights = at::bmm(g, v.transpose(1, 2));
    const at::Tensor dlogits = at::empty_like(weights);
    const std::int64_t width = weights.size(2), rows = weights.numel() / width;
    const auto piece = [&](auto stored, std::int64_t begin, std::int64_t count) {
      using S = decltype(stored);
      using T = Computed<S>;
      run(Backward<S>{pointer<S>(dweights) + begin * width, pointer<T>(weights) + begin * width,
                      pointer<T>(dlogits) + begin * width, count, width});
    };
    for_stored_pieces(v.scalar_type(), rows, rows_at_once, piece);
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
    const auto sizes = gradients[0].sizes();
    return {scaled_product(scale, dlogits, k).view(sizes),
            scaled_product(scale, dlogits.transpose(1, 2), q).view(sizes), dv.view(sizes)};
  }
};

}  // namespace

at::Tensor short_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!has_stored_loop(q, v.scalar_type())) return short_attention_reference(q, k, v);
  return ShortAttention::apply(q, k, v);
}

at::Tensor short_attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     double dropout) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor weights = at::softmax(at::matmul(q * scale, k.transpose(-2, -1)), -1);
  return at::matmul(at::dropout(weights, dropout, dropout > 0).to(v.scalar_type()), v);
}

}  // namespace calor::net::kernels
