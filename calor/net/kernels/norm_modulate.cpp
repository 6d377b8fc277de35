#include "calor/net/kernels/norm_modulate.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/gpu/norm_modulate_tasks.h"
#include "calor/net/kernels/inverse_root.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels {
namespace {

constexpr std::int64_t rows_at_once = 128;

// Rows of one sample, which share shift and scale.
template <class S, class T = Computed<S>>
struct Forward {
  const T* x;
  const T* weight;
  const T* shift;
  const T* scale;
  S* y;
  T* inverse;  // one over the root of the mean square, a row
  std::int64_t rows, width;
};

template <class S, class T>
CALOR_INLINE void forward_loop(const Forward<S, T>& task) {
  const T* __restrict__ weight = task.weight;
  const T* __restrict__ shift = task.shift;
  const T* __restrict__ scale = task.scale;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const T* __restrict__ x = task.x + row * task.width;
    S* __restrict__ y = task.y + row * task.width;
    const T squares = sum_of_terms<T>(task.width, [&](std::int64_t j) { return x[j] * x[j]; });
    const T r = inverse_root(squares, task.width);
    task.inverse[row] = r;
    for (std::int64_t j = 0; j < task.width; ++j) {
      store(x[j] * r * weight[j] * (T(1) + scale[j]) + shift[j], y[j]);
    }
  }
}

// With u = x r the normalised input, m = weight (1 + scale) and h = g m:
//     dx = r (h - u mean(h u)),  dshift = sum g,  dscale = weight sum g u,
//     dweight = (1 + scale) sum g u, the sums over a sample's rows.
template <class S, class T = Computed<S>>
struct Backward {
  const S* gradient;
  const T* x;
  const T* weight;
  const T* scale;
  const T* inverse;
  T* dx;
  T* dshift;   // [D]
  T* dscale;   // [D], sum g u until the rows are done
  T* dweight;  // [D], of this sample; m until the rows are done
  std::int64_t rows, width;
};

template <class S, class T>
CALOR_INLINE void backward_loop(const Backward<S, T>& task) {
  T* __restrict__ dshift = task.dshift;
  T* __restrict__ along = task.dscale;
  T* __restrict__ m = task.dweight;
  std::fill(dshift, dshift + task.width, T(0));
  std::fill(along, along + task.width, T(0));
  for (std::int64_t j = 0; j < task.width; ++j) m[j] = task.weight[j] * (T(1) + task.scale[j]);
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const S* __restrict__ g = task.gradient + row * task.width;
    const T* __restrict__ x = task.x + row * task.width;
    T* __restrict__ dx = task.dx + row * task.width;
    const T r = task.inverse[row];
    const T dot =
        sum_of_terms<T>(task.width, [&](std::int64_t j) { return computed(g[j]) * m[j] * x[j]; });
    const T share = dot * r * r / static_cast<T>(task.width);
    for (std::int64_t j = 0; j < task.width; ++j) {
      const T gradient = computed(g[j]);
      dx[j] = r * (gradient * m[j] - x[j] * share);
      dshift[j] += gradient;
      along[j] += gradient * x[j] * r;
    }
  }
  for (std::int64_t j = 0; j < task.width; ++j) {
    const T sum = along[j];
    along[j] = sum * task.weight[j];
    m[j] = sum * (T(1) + task.scale[j]);
  }
}

CALOR_RUN_STORED(Forward, forward_loop)
CALOR_RUN_STORED(Backward, backward_loop)

class NormModulate final : public torch::autograd::Function<NormModulate> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_any,
                            const at::Tensor& weight, const at::Tensor& shift_any,
                            const at::Tensor& scale_any, at::ScalarType type);
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients);
};

at::Tensor NormModulate::forward(torch::autograd::AutogradContext* context, const at::Tensor& x_any,
                                 const at::Tensor& weight, const at::Tensor& shift_any,
                                 const at::Tensor& scale_any, at::ScalarType type) {
  const at::Tensor x = x_any.contiguous();
  const at::Tensor shift = side_by_side(shift_any), scale = side_by_side(scale_any);
  const std::int64_t length = x.size(1), width = x.size(2), rows = x.size(0) * length;
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(type));
  const at::Tensor inverse = at::empty({rows}, x.options());
  context->save_for_backward({x, weight, scale, inverse});
  if (gpu::runs_tasks(x)) {
    by_stored_type(type, [&](auto stored) {
      using S = decltype(stored);
      using T = Computed<S>;
      gpu::for_rows(
          x.device(),
          gpu::NormModulateForward<S>{pointer<T>(x), pointer<T>(weight), pointer<T>(shift),
                                      pointer<T>(scale), pointer<S>(y), pointer<T>(inverse),
                                      shift.stride(0), scale.stride(0), length, width},
          rows);
    });
    return y;
  }
  const auto piece = [&](auto stored, std::int64_t begin, std::int64_t count) {
    using S = decltype(stored);
    using T = Computed<S>;
    for (std::int64_t row = begin; row < begin + count;) {
      const std::int64_t sample = row / length;
      const std::int64_t end = std::min((sample + 1) * length, begin + count);
      run(Forward<S>{pointer<T>(x) + row * width, pointer<T>(weight),
                     pointer<T>(shift) + sample * shift.stride(0),
                     pointer<T>(scale) + sample * scale.stride(0), pointer<S>(y) + row * width,
                     pointer<T>(inverse) + row, end - row, width});
      row = end;
    }
  };
  for_stored_pieces(type, rows, rows_at_once, piece);
  return y;
}

torch::autograd::variable_list NormModulate::backward(torch::autograd::AutogradContext* context,
                                                      torch::autograd::variable_list gradients) {
  const auto saved = context->get_saved_variables();
  const at::Tensor &x = saved[0], &weight = saved[1], &scale = saved[2], &inverse = saved[3];
  const at::Tensor g = gradients[0].contiguous();
  const std::int64_t n = x.size(0), length = x.size(1), width = x.size(2);
  const at::Tensor dx = at::empty_like(x);
  const at::Tensor sums = at::empty({3, n, width}, x.options());  // shift, scale, weight
  if (gpu::runs_tasks(x)) {
    by_stored_type(g.scalar_type(), [&](auto stored) {
      using S = decltype(stored);
      using T = Computed<S>;
      gpu::for_rows(x.device(),
                    gpu::NormModulateBackward<S>{pointer<S>(g), pointer<T>(x), pointer<T>(weight),
                                                 pointer<T>(scale), pointer<T>(inverse),
                                                 pointer<T>(dx), scale.stride(0), length, width},
                    n * length);
      T* own = pointer<T>(sums);
      gpu::for_columns(
          x.device(),
          gpu::NormModulateSums<S>{pointer<S>(g), pointer<T>(x), pointer<T>(weight),
                                   pointer<T>(scale), pointer<T>(inverse), own, own + n * width,
                                   own + 2 * n * width, scale.stride(0), length, width},
          n, length, width);
    });
    return {dx, sums[2].sum(0), sums[0], sums[1], at::Tensor()};
  }
  for_stored_samples(g.scalar_type(), n, [&](auto stored, std::int64_t i) {
    using S = decltype(stored);
    using T = Computed<S>;
    const std::int64_t at = i * length * width;
    T* own = pointer<T>(sums) + i * width;
    run(Backward<S>{pointer<S>(g) + at, pointer<T>(x) + at, pointer<T>(weight),
                    pointer<T>(scale) + i * scale.stride(0), pointer<T>(inverse) + i * length,
                    pointer<T>(dx) + at, own, own + n * width, own + 2 * n * width, length, width});
  });
  return {dx, sums[2].sum(0), sums[0], sums[1], at::Tensor()};
}

}  // namespace

at::Tensor norm_modulate(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& shift,
                         const at::Tensor& scale, at::ScalarType type) {
  if (!gpu::has_fused(x, type)) return norm_modulate_reference(x, weight, shift, scale, type);
  return NormModulate::apply(x, weight, shift, scale, type);
}

at::Tensor norm_modulate_reference(const at::Tensor& x, const at::Tensor& weight,
                                   const at::Tensor& shift, const at::Tensor& scale,
                                   at::ScalarType type) {
  return at::addcmul(shift.unsqueeze(1), rms_norm_reference(x, weight), 1 + scale.unsqueeze(1))
      .to(type);
}

at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight) {
  return x * at::rsqrt(x.square().mean(-1, true) + rms_epsilon) * weight;
}

}  // namespace calor::net::kernels
