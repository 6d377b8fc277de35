#include "calor/net/kernels/add_gated.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/gpu/add_gated_tasks.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels {
namespace {

// One sample's rows.
template <class S, class T = Computed<S>>
struct Forward {
  const T* x;
  const T* gate;
  const S* branch;
  T* y;
  std::int64_t rows, width;
};

template <class S, class T>
CALOR_INLINE void forward_loop(const Forward<S, T>& task) {
  const T* __restrict__ gate = task.gate;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const T* __restrict__ x = task.x + row * task.width;
    const S* __restrict__ branch = task.branch + row * task.width;
    T* __restrict__ y = task.y + row * task.width;
    for (std::int64_t j = 0; j < task.width; ++j) y[j] = x[j] + gate[j] * computed(branch[j]);
  }
}

template <class S, class T = Computed<S>>
struct Backward {
  const T* gradient;
  const T* gate;
  const S* branch;
  S* dbranch;
  T* dgate;  // [D]
  std::int64_t rows, width;
};

template <class S, class T>
CALOR_INLINE void backward_loop(const Backward<S, T>& task) {
  const T* __restrict__ gate = task.gate;
  T* __restrict__ dgate = task.dgate;
  std::fill(dgate, dgate + task.width, T(0));
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const T* __restrict__ g = task.gradient + row * task.width;
    const S* __restrict__ branch = task.branch + row * task.width;
    S* __restrict__ dbranch = task.dbranch + row * task.width;
    for (std::int64_t j = 0; j < task.width; ++j) {
      dgate[j] += g[j] * computed(branch[j]);
      store(g[j] * gate[j], dbranch[j]);
    }
  }
}

CALOR_RUN_STORED(Forward, forward_loop)
CALOR_RUN_STORED(Backward, backward_loop)

class AddGated final : public torch::autograd::Function<AddGated> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_any,
                            const at::Tensor& gate_any, const at::Tensor& branch_any) {
    const at::Tensor x = x_any.contiguous(), gate = side_by_side(gate_any);
    const at::Tensor branch = branch_any.contiguous();
    const std::int64_t n = x.size(0), length = x.size(1), width = x.size(2);
    const at::Tensor y = at::empty_like(x);
    context->save_for_backward({gate, branch});
    if (gpu::runs_tasks(x)) {
      by_stored_type(branch.scalar_type(), [&](auto stored) {
        using S = decltype(stored);
        using T = Computed<S>;
        gpu::for_rows(x.device(),
                      gpu::AddGatedForward<S>{pointer<T>(x), pointer<T>(gate), pointer<S>(branch),
                                              pointer<T>(y), gate.stride(0), length, width},
                      n * length);
      });
      return y;
    }
    for_stored_samples(branch.scalar_type(), n, [&](auto stored, std::int64_t i) {
      using S = decltype(stored);
      using T = Computed<S>;
      const std::int64_t at = i * length * width;
      run(Forward<S>{pointer<T>(x) + at, pointer<T>(gate) + i * gate.stride(0),
                     pointer<S>(branch) + at, pointer<T>(y) + at, length, width});
    });
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &branch = saved[1];
    const at::Tensor g = gradients[0].contiguous();
    const std::int64_t n = g.size(0), length = g.size(1), width = g.size(2);
    const at::Tensor dbranch = at::empty_like(branch);
    const at::Tensor dgate = at::empty({n, width}, gate.options());
    if (gpu::runs_tasks(g)) {
      by_stored_type(branch.scalar_type(), [&](auto stored) {
        using S = decltype(stored);
        using T = Computed<S>;
        gpu::for_columns(g.device(),
                         gpu::AddGatedBackward<S>{pointer<T>(g), pointer<T>(gate),
                                                  pointer<S>(branch), pointer<S>(dbranch),
                                                  pointer<T>(dgate), gate.stride(0), length, width},
                         n, length, width);
      });
      return {g, dgate, dbranch};
    }
    for_stored_samples(branch.scalar_type(), n, [&](auto stored, std::int64_t i) {
      using S = decltype(stored);
      using T = Computed<S>;
      const std::int64_t at = i * length * width;
      run(Backward<S>{pointer<T>(g) + at, pointer<T>(gate) + i * gate.stride(0),
                      pointer<S>(branch) + at, pointer<S>(dbranch) + at,
                      pointer<T>(dgate) + i * width, length, width});
    });
    return {g, dgate, dbranch};
  }
};

}  // namespace

at::Tensor add_gated(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  if (!gpu::has_fused(x, branch.scalar_type())) return add_gated_reference(x, gate, branch);
  return AddGated::apply(x, gate, branch);
}

at::Tensor add_gated_reference(const at::Tensor& x, const at::Tensor& gate,
                               const at::Tensor& branch) {
  return at::addcmul(x, gate.unsqueeze(1), branch.to(x.scalar_type()));
}

}  // namespace calor::net::kernels
