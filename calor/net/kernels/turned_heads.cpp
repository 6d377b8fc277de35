#include "calor/net/kernels/turned_heads.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/gpu/turned_heads_tasks.h"
#include "calor/net/kernels/inverse_root.h"
#include "calor/net/kernels/norm_modulate.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels {
namespace {

using Sizes = gpu::HeadSizes;

// One sample's queries or keys.
template <class S, class T = Computed<S>>
struct Forward {
  const S* x;  // [L, ...], a row of all heads at every third row's width
  const T* weight;
  const T* table;  // [L, d / 2] pairs: cosine, sine
  T* y;            // [heads, L, d]
  Sizes sizes;
};

template <class S, class T>
CALOR_INLINE T inverse_of(const S* x, std::int64_t width) {
  return inverse_root(sum_of_terms<T>(width,
                                      [&](std::int64_t j) {
                                        const T value = computed(x[j]);
                                        return value * value;
                                      }),
                      width);
}

template <class S, class T>
CALOR_INLINE void forward_loop(const Forward<S, T>& task) {
  const Sizes& s = task.sizes;
  const T* __restrict__ w = task.weight;
  for (std::int64_t l = 0; l < s.length; ++l) {
    const T* __restrict__ turn = task.table + l * s.width;
    for (std::int64_t head = 0; head < s.heads; ++head) {
      const S* __restrict__ x = task.x + 3 * l * s.row() + head * s.width;
      T* __restrict__ y = task.y + (head * s.length + l) * s.width;
      const T r = inverse_of<S, T>(x, s.width);
#pragma omp simd
      for (std::int64_t j = 0; j < s.width; j += 2) {
        const T a = computed(x[j]) * r * w[j], b = computed(x[j + 1]) * r * w[j + 1];
        y[j] = a * turn[j] - b * turn[j + 1];
        y[j + 1] = a * turn[j + 1] + b * turn[j];
      }
    }
  }
}

// With h the gradient turned back, u = x r the normalised numbers and m = h weight:
//     dx = r (m - u mean(m u)),  dweight = sum h u over rows and heads.
template <class S, class T = Computed<S>>
struct Backward {
  const T* gradient;  // [heads, L, d]
  const S* x;
  const T* weight;
  const T* table;
  S* dx;
  T* dweight;  // [d], of this sample
  T* work;     // [d]
  Sizes sizes;
};

template <class S, class T>
CALOR_INLINE void backward_loop(const Backward<S, T>& task) {
  const Sizes& s = task.sizes;
  const T* __restrict__ w = task.weight;
  T* __restrict__ h = task.work;
  T* __restrict__ dweight = task.dweight;
  std::fill(dweight, dweight + s.width, T(0));
  for (std::int64_t l = 0; l < s.length; ++l) {
    const T* __restrict__ turn = task.table + l * s.width;
    for (std::int64_t head = 0; head < s.heads; ++head) {
      const std::int64_t at = 3 * l * s.row() + head * s.width;
      const S* __restrict__ x = task.x + at;
      S* __restrict__ dx = task.dx + at;
      const T* __restrict__ g = task.gradient + (head * s.length + l) * s.width;
      const T r = inverse_of<S, T>(x, s.width);
#pragma omp simd
      for (std::int64_t j = 0; j < s.width; j += 2) {
        h[j] = g[j] * turn[j] + g[j + 1] * turn[j + 1];
        h[j + 1] = g[j + 1] * turn[j] - g[j] * turn[j + 1];
      }
      const T dot =
          sum_of_terms<T>(s.width, [&](std::int64_t j) { return h[j] * w[j] * computed(x[j]); });
      const T share = dot * r * r / static_cast<T>(s.width);
      for (std::int64_t j = 0; j < s.width; ++j) {
        const T value = computed(x[j]);
        store(r * (h[j] * w[j] - value * share), dx[j]);
        dweight[j] += h[j] * value * r;
      }
    }
  }
}

CALOR_RUN_STORED(Forward, forward_loop)
CALOR_RUN_STORED(Backward, backward_loop)

// Values only change their places: rows of all heads <-> heads of rows.
template <class S>
void take_values(const S* qkv, S* v, const Sizes& s) {
  for (std::int64_t l = 0; l < s.length; ++l) {
    for (std::int64_t head = 0; head < s.heads; ++head) {
      const S* from = qkv + (3 * l + 2) * s.row() + head * s.width;
      std::copy(from, from + s.width, v + (head * s.length + l) * s.width);
    }
  }
}
template <class S>
void return_values(const S* v, S* qkv, const Sizes& s) {
  for (std::int64_t l = 0; l < s.length; ++l) {
    for (std::int64_t head = 0; head < s.heads; ++head) {
      const S* from = v + (head * s.length + l) * s.width;
      std::copy(from, from + s.width, qkv + (3 * l + 2) * s.row() + head * s.width);
    }
  }
}

class TurnedHeads final : public torch::autograd::Function<TurnedHeads> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const at::Tensor& qkv_any, std::int64_t heads,
                                                const at::Tensor& q_weight,
                                                const at::Tensor& k_weight,
                                                const at::Tensor& table);
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients);
};

Sizes sizes_of(const at::Tensor& qkv, std::int64_t heads) {
  return {.length = qkv.size(1), .heads = heads, .width = qkv.size(2) / 3 / heads};
}

// Runs the forward pass as tasks into q, k and v; returns one over the root of each row's mean
// square.
at::Tensor forward_tasks(const at::Tensor& qkv, const at::Tensor& q_weight,
                         const at::Tensor& k_weight, const at::Tensor& turns, const Heads& out,
                         const Sizes& s) {
  const std::int64_t rows = qkv.numel() / s.row();
  at::Tensor inverse = at::empty({rows * s.heads}, turns.options());
  by_stored_type(qkv.scalar_type(), [&](auto stored) {
    using S = decltype(stored);
    using T = Computed<S>;
    gpu::for_rows(
        qkv.device(),
        gpu::TurnedHeadsForward<S>{pointer<S>(qkv), pointer<T>(q_weight), pointer<T>(k_weight),
                                   pointer<T>(turns), pointer<S>(out.q), pointer<S>(out.k),
                                   pointer<S>(out.v), pointer<T>(inverse), s},
        rows);
  });
  return inverse;
}

// The same backward, into dqkv; returns the weights' gradients by tokens [N L, 2, d].
at::Tensor backward_tasks(const Heads& gradients, const torch::autograd::variable_list& saved,
                          const at::Tensor& dqkv, const Sizes& s) {
  const at::Tensor &qkv = saved[0], &q_weight = saved[1], &k_weight = saved[2], &turns = saved[3];
  const at::Tensor& inverse = saved[4];
  const std::int64_t rows = qkv.numel() / s.row();
  at::Tensor dweights = at::empty({rows / 3, 2, s.width}, turns.options());
  by_stored_type(qkv.scalar_type(), [&](auto stored) {
    using S = decltype(stored);
    using T = Computed<S>;
    gpu::for_rows(
        qkv.device(),
        gpu::TurnedHeadsBackward<S>{pointer<S>(gradients.q), pointer<S>(gradients.k),
                                    pointer<S>(gradients.v), pointer<S>(qkv), pointer<T>(q_weight),
                                    pointer<T>(k_weight), pointer<T>(turns), pointer<T>(inverse),
                                    pointer<S>(dqkv), pointer<T>(dweights), s},
        rows);
  });
  return dweights;
}

torch::autograd::variable_list TurnedHeads::forward(torch::autograd::AutogradContext* context,
                                                    const at::Tensor& qkv_any, std::int64_t heads,
                                                    const at::Tensor& q_weight,
                                                    const at::Tensor& k_weight,
                                                    const at::Tensor& table) {
  const at::Tensor qkv = qkv_any.contiguous();
  const Sizes s = sizes_of(qkv, heads);
  const std::int64_t n = qkv.size(0), numbers = s.length * s.row();
  const bool by_tasks = gpu::runs_tasks(qkv);
  const at::ScalarType wide = computed_type(qkv.scalar_type());
  const at::Tensor v = at::empty({n, heads, s.length, s.width}, qkv.options());
  const at::Tensor q = at::empty(v.sizes(), qkv.options().dtype(by_tasks ? v.scalar_type() : wide));
  const at::Tensor k = at::empty_like(q);
  const at::Tensor turns = at::view_as_real(table).to(wide).contiguous();
  context->saved_data["heads"] = heads;
  if (by_tasks) {
    const Heads out{.q = q, .k = k, .v = v};
    const at::Tensor inverse = forward_tasks(qkv, q_weight, k_weight, turns, out, s);
    context->save_for_backward({qkv, q_weight, k_weight, turns, inverse});
    return {q, k, v};
  }
  for_stored_samples(qkv.scalar_type(), n, [&](auto stored, std::int64_t i) {
    using S = decltype(stored);
    using T = Computed<S>;
    const S* x = pointer<S>(qkv) + 3 * i * numbers;
    const std::int64_t at = i * numbers;
    run(Forward<S>{x, pointer<T>(q_weight), pointer<T>(turns), pointer<T>(q) + at, s});
    run(Forward<S>{x + s.row(), pointer<T>(k_weight), pointer<T>(turns), pointer<T>(k) + at, s});
    take_values(x, pointer<S>(v) + at, s);
  });
  context->save_for_backward({qkv, q_weight, k_weight, turns});
  return {q, k, v};
}

torch::autograd::variable_list TurnedHeads::backward(torch::autograd::AutogradContext* context,
                                                     torch::autograd::variable_list gradients) {
  const auto saved = context->get_saved_variables();
  const at::Tensor &qkv = saved[0], &q_weight = saved[1], &k_weight = saved[2], &turns = saved[3];
  const Sizes s = sizes_of(qkv, context->saved_data["heads"].toInt());
  const std::int64_t n = qkv.size(0), numbers = s.length * s.row();
  const at::Tensor gq = gradients[0].contiguous(), gk = gradients[1].contiguous();
  const at::Tensor gv = gradients[2].contiguous();
  const at::Tensor dx = at::empty_like(qkv);
  if (gpu::runs_tasks(qkv)) {
    const at::Tensor by_tokens = backward_tasks({.q = gq, .k = gk, .v = gv}, saved, dx, s);
    const at::Tensor sums = by_tokens.sum(0);
    return {dx, at::Tensor(), sums[0], sums[1], at::Tensor()};
  }
  const at::Tensor dweights = at::empty({n, 2, s.width}, gq.options());
  for_stored_samples(qkv.scalar_type(), n, [&](auto stored, std::int64_t i) {
    using S = decltype(stored);
    using T = Computed<S>;
    std::vector<T> work(static_cast<std::size_t>(s.width));
    const S* x = pointer<S>(qkv) + 3 * i * numbers;
    S* out = pointer<S>(dx) + 3 * i * numbers;
    const std::int64_t at = i * numbers;
    T* sums = pointer<T>(dweights) + 2 * i * s.width;
    run(Backward<S>{pointer<T>(gq) + at, x, pointer<T>(q_weight), pointer<T>(turns), out, sums,
                    work.data(), s});
    run(Backward<S>{pointer<T>(gk) + at, x + s.row(), pointer<T>(k_weight), pointer<T>(turns),
                    out + s.row(), sums + s.width, work.data(), s});
    return_values(pointer<S>(gv) + at, out, s);
  });
  const at::Tensor total = dweights.sum(0);
  return {dx, at::Tensor(), total[0], total[1], at::Tensor()};
}

at::Tensor turn(const at::Tensor& x, const at::Tensor& table) {
  return at::view_as_real(at::view_as_complex(x.unflatten(-1, {-1, 2})) * table).flatten(-2);
}

}  // namespace

Heads turned_heads(const at::Tensor& qkv, std::int64_t heads, const at::Tensor& q_weight,
                   const at::Tensor& k_weight, const at::Tensor& table) {
  if (!gpu::has_fused(q_weight, qkv.scalar_type())) {
    return turned_heads_reference(qkv, heads, q_weight, k_weight, table);
  }
  const auto parts = TurnedHeads::apply(qkv, heads, q_weight, k_weight, table);
  return {.q = parts[0], .k = parts[1], .v = parts[2]};
}

Heads turned_heads_reference(const at::Tensor& qkv, std::int64_t heads, const at::Tensor& q_weight,
                             const at::Tensor& k_weight, const at::Tensor& table) {
  const auto parts = qkv.unflatten(2, {3, heads, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
  const at::ScalarType type = computed_type(qkv.scalar_type());
  return {.q = turn(rms_norm_reference(parts[0].to(type), q_weight), table),
          .k = turn(rms_norm_reference(parts[1].to(type), k_weight), table),
          .v = parts[2]};
}

}  // namespace calor::net::kernels
