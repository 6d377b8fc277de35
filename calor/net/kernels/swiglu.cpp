#include "calor/net/kernels/swiglu.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "calor/net/kernels/activation_math.h"
#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/gpu/swiglu_tasks.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels {
namespace {

constexpr std::int64_t rows_at_once = 128;

template <class S>
struct Forward {
  const S* x;  // [rows, 2 width]
  S* y;        // [rows, width]
  std::int64_t rows, width;
};

template <class S>
CALOR_INLINE void forward_loop(const Forward<S>& task) {
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const S* __restrict__ a = task.x + 2 * row * task.width;
    const S* __restrict__ b = a + task.width;
    S* __restrict__ y = task.y + row * task.width;
#pragma omp simd
    for (std::int64_t j = 0; j < task.width; ++j) {
      store(Silu::both(computed(a[j])).value * computed(b[j]), y[j]);
    }
  }
}

template <class S>
struct Backward {
  const S* gradient;  // [rows, width]
  const S* x;         // [rows, 2 width]
  S* dx;              // [rows, 2 width]
  std::int64_t rows, width;
};

template <class S>
CALOR_INLINE void backward_loop(const Backward<S>& task) {
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const S* __restrict__ g = task.gradient + row * task.width;
    const S* __restrict__ a = task.x + 2 * row * task.width;
    const S* __restrict__ b = a + task.width;
    S* __restrict__ da = task.dx + 2 * row * task.width;
    S* __restrict__ db = da + task.width;
#pragma omp simd
    for (std::int64_t j = 0; j < task.width; ++j) {
      const auto silu = Silu::both(computed(a[j]));
      const auto gradient = computed(g[j]);
      store(gradient * computed(b[j]) * silu.slope, da[j]);
      store(gradient * silu.value, db[j]);
    }
  }
}

CALOR_RUN_STORED(Forward, forward_loop)
CALOR_RUN_STORED(Backward, backward_loop)

class Swiglu final : public torch::autograd::Function<Swiglu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_any) {
    const at::Tensor x = x_any.contiguous();
    std::vector<std::int64_t> sizes = x.sizes().vec();
    const std::int64_t width = sizes.back() /= 2;
    const at::Tensor y = at::empty(sizes, x.options());
    context->save_for_backward({x});
    if (gpu::runs_tasks(x)) {
      by_stored_type(x.scalar_type(), [&](auto stored) {
        using S = decltype(stored);
        gpu::for_rows(x.device(), gpu::SwigluForward<S>{pointer<S>(x), pointer<S>(y), width},
                      y.numel() / width);
      });
      return y;
    }
    const auto piece = [&](auto stored, std::int64_t begin, std::int64_t count) {
      using S = decltype(stored);
      run(Forward<S>{pointer<S>(x) + 2 * begin * width, pointer<S>(y) + begin * width, count,
                     width});
    };
    for_stored_pieces(x.scalar_type(), y.numel() / width, rows_at_once, piece);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor g = gradients[0].contiguous();
    const at::Tensor dx = at::empty_like(x);
    const std::int64_t width = g.size(-1);
    if (gpu::runs_tasks(x)) {
      by_stored_type(x.scalar_type(), [&](auto stored) {
        using S = decltype(stored);
        gpu::for_rows(x.device(),
                      gpu::SwigluBackward<S>{pointer<S>(g), pointer<S>(x), pointer<S>(dx), width},
                      g.numel() / width);
      });
      return {dx};
    }
    const auto piece = [&](auto stored, std::int64_t begin, std::int64_t count) {
      using S = decltype(stored);
      run(Backward<S>{pointer<S>(g) + begin * width, pointer<S>(x) + 2 * begin * width,
                      pointer<S>(dx) + 2 * begin * width, count, width});
    };
    for_stored_pieces(x.scalar_type(), g.numel() / width, rows_at_once, piece);
    return {dx};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& x) {
  const bool known = is_stored_type(x.scalar_type()) && x.numel() > 0;
  if (!known || !(x.is_cpu() || gpu::serves(x))) return swiglu_reference(x);
  return Swiglu::apply(x);
}

at::Tensor swiglu_reference(const at::Tensor& x) {
  const auto halves = x.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace calor::net::kernels
