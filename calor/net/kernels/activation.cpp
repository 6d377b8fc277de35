#include "calor/net/kernels/activation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>

#include "calor/net/kernels/activation_math.h"
#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/gpu/activation_tasks.h"
#include "calor/net/kernels/gpu/launch.h"

namespace calor::net::kernels {
namespace {

// Pass::run<F>(task) with the activation. No lambda, which would not be compiled for each
// instruction set with the function that calls this.
template <class Pass, class Task>
CALOR_INLINE void by_activation(const Task& task, Activation kind) {
  switch (kind) {
    case Activation::relu:
      return Pass::template run<Relu>(task);
    case Activation::elu:
      return Pass::template run<Elu>(task);
    case Activation::softplus20:
      return Pass::template run<Softplus20>(task);
    case Activation::silu:
      return Pass::template run<Silu>(task);
    case Activation::gelu:
      return Pass::template run<Gelu>(task);
    case Activation::tanh:
      return Pass::template run<Tanh>(task);
  }
}

// A block of rows; bias and slope may be null.
template <class T>
struct ActivateRows {
  T* values;
  const T* bias;
  T* slope;
  std::int64_t rows, width;
};

struct ActivateEach {
  template <class F, class T>
  CALOR_INLINE static void run(const ActivateRows<T>& task) {
    T* y = task.values;
    T* s = task.slope;
    const T* b = task.bias;
    for (std::int64_t row = 0; row < task.rows; ++row, y += task.width) {
      if (b != nullptr) {
        for (std::int64_t j = 0; j < task.width; ++j) y[j] += b[j];
      }
      if (s != nullptr) {
        for (std::int64_t j = 0; j < task.width; ++j) {
          const ValueSlope<T> out = value_slope<F>(y[j]);
          y[j] = out.value;
          s[j] = out.slope;
        }
        s += task.width;
      } else {
        for (std::int64_t j = 0; j < task.width; ++j) y[j] = value_slope<F>(y[j]).value;
      }
    }
  }
};

template <class T>
struct SlopeRows {
  T* gradient;
  const T* values;
  const T* slope;  // or null
  T* sums;
  std::int64_t rows, width;
};

struct MultiplyBySlope {
  template <class F, class T>
  CALOR_INLINE static void run(const SlopeRows<T>& task) {
    for (std::int64_t row = 0; row < task.rows; ++row) {
      T* __restrict__ g = task.gradient + row * task.width;
      T* __restrict__ sums = task.sums;
      if constexpr (F::from_value) {
        const T* __restrict__ y = task.values + row * task.width;
        for (std::int64_t j = 0; j < task.width; ++j) {
          const T d = g[j] * F::slope_at(y[j]);
          g[j] = d;
          sums[j] += d;
        }
      } else {
        const T* __restrict__ s = task.slope + row * task.width;
        for (std::int64_t j = 0; j < task.width; ++j) {
          const T d = g[j] * s[j];
          g[j] = d;
          sums[j] += d;
        }
      }
    }
  }
};

// The sizes of tangents [n, k, width]; `step` from one row's tangents to the next, 0 where shared.
struct TangentSizes {
  std::int64_t n, k, width, step;
};

template <class T>
CALOR_INLINE void scale_loop(const T* slope, const T* in, T* out, const TangentSizes& sizes) {
  for (std::int64_t row = 0; row < sizes.n; ++row, slope += sizes.width, in += sizes.step) {
    const T* from = in;
    for (std::int64_t k = 0; k < sizes.k; ++k, from += sizes.width, out += sizes.width) {
#pragma omp simd
      for (std::int64_t j = 0; j < sizes.width; ++j) out[j] = slope[j] * from[j];
    }
  }
}

template <class T>
CALOR_INLINE void contract_loop(const T* slope, const T* in, const T* weight, T* trace,
                                const TangentSizes& sizes) {
  for (std::int64_t row = 0; row < sizes.n; ++row, slope += sizes.width, in += sizes.step) {
    T total = 0;
    for (std::int64_t k = 0; k < sizes.k; ++k) {
      const T* tangent = in + k * sizes.width;
      const T* w = weight + k * sizes.width;
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < sizes.width; ++j) sum += slope[j] * tangent[j] * w[j];
      total += sum;
    }
    trace[row] = total;
  }
}

template <class T>
CALOR_INLINE void column_loop(const T* x, T* sums, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row, x += width) {
    for (std::int64_t j = 0; j < width; ++j) sums[j] += x[j];
  }
}

CALOR_CLONES void run(const ActivateRows<float>& task, Activation kind) {
  by_activation<ActivateEach>(task, kind);
}
CALOR_CLONES void run(const SlopeRows<float>& task, Activation kind) {
  by_activation<MultiplyBySlope>(task, kind);
}
CALOR_CLONES void scale(const float* slope, const float* in, float* out,
                        const TangentSizes& sizes) {
  scale_loop(slope, in, out, sizes);
}
CALOR_CLONES void contract(const float* slope, const float* in, const float* weight, float* trace,
                           const TangentSizes& sizes) {
  contract_loop(slope, in, weight, trace, sizes);
}
CALOR_CLONES void add_columns(const float* x, float* sums, std::int64_t rows, std::int64_t width) {
  column_loop(x, sums, rows, width);
}
// fp64 is for tests and for log-densities to many digits; the exponentials decide its speed.
void run(const ActivateRows<double>& task, Activation kind) {
  by_activation<ActivateEach>(task, kind);
}
void run(const SlopeRows<double>& task, Activation kind) {
  by_activation<MultiplyBySlope>(task, kind);
}
void scale(const double* slope, const double* in, double* out, const TangentSizes& sizes) {
  scale_loop(slope, in, out, sizes);
}
void contract(const double* slope, const double* in, const double* weight, double* trace,
              const TangentSizes& sizes) {
  contract_loop(slope, in, weight, trace, sizes);
}
void add_columns(const double* x, double* sums, std::int64_t rows, std::int64_t width) {
  column_loop(x, sums, rows, width);
}

TangentSizes sizes_of(const at::Tensor& slope, const at::Tensor& tangents) {
  const std::int64_t k = tangents.size(-2);
  const std::int64_t width = tangents.size(-1);
  return {.n = slope.numel() / width,
          .k = k,
          .width = width,
          .step = tangents.dim() == 3 ? k * width : 0};
}

bool has_numbers(const at::Tensor& a) {
  return a.scalar_type() == at::kFloat || a.scalar_type() == at::kDouble;
}

struct Tensors {
  const at::Tensor &values, &bias, &slope;
};

struct ActivateAsTasks {
  template <class F>
  static void run(const Tensors& t) {
    by_type(t.values, [&](auto type) {
      using T = decltype(type);
      gpu::for_elements(t.values.device(),
                        gpu::Activate<F, T>{pointer<T>(t.values), pointer<T>(t.bias),
                                            pointer<T>(t.slope), t.values.size(-1)},
                        t.values.numel());
    });
  }
};

// The whole tensor on all threads, body(begin, end). Elements are independent, but the last few of
// a range are computed one by one and may be rounded otherwise, so ranges are cut at whole blocks,
// whatever the number of threads.
constexpr std::int64_t block = 1 << 10;

template <class Body>
void for_blocks(std::int64_t numbers, const Body& body) {
  constexpr std::int64_t blocks_of_a_thread = 16;  // at least
  at::parallel_for(0, (numbers + block - 1) / block, blocks_of_a_thread,
                   [&](std::int64_t first, std::int64_t last) {
                     body(first * block, std::min(last * block, numbers));
                   });
}

class ActivationFunction final : public torch::autograd::Function<ActivationFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& a,
                            std::int64_t kind_index) {
    const auto kind = static_cast<Activation>(kind_index);
    at::Tensor y = a.clone(at::MemoryFormat::Contiguous);
    const at::Tensor slope = slope_follows_from_value(kind) ? at::Tensor() : at::empty_like(y);
    by_type(y, [&](auto type) {
      using T = decltype(type);
      T* values = pointer<T>(y);
      T* slopes = pointer<T>(slope);
      for_blocks(y.numel(), [=](std::int64_t begin, std::int64_t end) {
        run(ActivateRows<T>{values + begin, nullptr, slopes == nullptr ? nullptr : slopes + begin,
                            1, end - begin},
            kind);
      });
    });
    context->saved_data["kind"] = kind_index;
    context->save_for_backward({slope.defined() ? slope : y});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto kind = static_cast<Activation>(context->saved_data["kind"].toInt());
    const at::Tensor kept = context->get_saved_variables()[0];
    if (!slope_follows_from_value(kind)) return {gradients[0] * kept, at::Tensor()};
    const at::Tensor g = gradients[0].contiguous();
    at::Tensor out = at::empty_like(kept);
    by_type(out, [&](auto type) {
      using T = decltype(type);
      const T* values = pointer<T>(kept);
      const T* from = pointer<T>(g);
      T* to = pointer<T>(out);
      for_blocks(out.numel(), [=](std::int64_t begin, std::int64_t end) {
        std::copy(from + begin, from + end, to + begin);
        std::array<T, block> unused{};
        for (std::int64_t i = begin; i < end; i += block) {
          const std::int64_t width = std::min(block, end - i);
          run(SlopeRows<T>{to + i, values + i, nullptr, unused.data(), 1, width}, kind);
        }
      });
    });
    return {out, at::Tensor()};
  }
};

}  // namespace

bool has_fast_activation(const at::Tensor& a) {
  return has_numbers(a) && (a.is_cpu() || gpu::serves(a)) && a.is_contiguous();
}

bool slope_follows_from_value(Activation kind) {
  return kind != Activation::silu && kind != Activation::gelu;
}

at::Tensor activation(const at::Tensor& a, Activation kind) {
  if (!a.is_cpu() || !has_numbers(a) || a.numel() == 0) return activation_reference(a, kind);
  return ActivationFunction::apply(a, static_cast<std::int64_t>(kind));
}

at::Tensor activation_reference(const at::Tensor& a, Activation kind) {
  switch (kind) {
    case Activation::relu:
      return at::relu(a);
    case Activation::elu:
      return at::elu(a);
    case Activation::softplus20:
      return a.clamp_min(0) + (-20 * a.abs()).exp().log1p() / 20;
    case Activation::silu:
      return at::silu(a);
    case Activation::gelu:
      return at::gelu(a);
    case Activation::tanh:
      break;
  }
  return at::tanh(a);
}

at::Tensor activation_slope_reference(const at::Tensor& a, Activation kind) {
  switch (kind) {
    case Activation::relu:
      return (a > 0).to(a.scalar_type());
    case Activation::elu:
      return a.clamp_max(0).exp();
    case Activation::softplus20:
      return at::sigmoid(20 * a);
    case Activation::silu: {
      const at::Tensor s = at::sigmoid(a);
      return s * (1 + a * (1 - s));
    }
    case Activation::gelu: {
      const at::Tensor density = (-0.5 * a.square()).exp() / std::sqrt(2 * std::numbers::pi);
      return 0.5 * at::erfc(-a / std::numbers::sqrt2) + a * density;
    }
    case Activation::tanh:
      break;
  }
  return 1 - at::tanh(a).square();
}

void activate(const at::Tensor& values, const at::Tensor& bias, const at::Tensor& slope,
              Activation kind) {
  if (gpu::runs_tasks(values)) {
    return by_activation<ActivateAsTasks>(Tensors{values, bias, slope}, kind);
  }
  const std::int64_t width = values.size(-1);
  by_type(values, [&](auto type) {
    using T = decltype(type);
    run(ActivateRows<T>{pointer<T>(values), pointer<T>(bias), pointer<T>(slope),
                        values.numel() / width, width},
        kind);
  });
}

void multiply_by_slope(const at::Tensor& gradient, const at::Tensor& values,
                       const at::Tensor& slope, const at::Tensor& sums, Activation kind) {
  const std::int64_t width = gradient.size(-1);
  by_type(gradient, [&](auto type) {
    using T = decltype(type);
    run(SlopeRows<T>{pointer<T>(gradient), pointer<T>(values), pointer<T>(slope), pointer<T>(sums),
                     gradient.numel() / width, width},
        kind);
  });
}

void add_column_sums(const at::Tensor& x, const at::Tensor& sums) {
  by_type(x, [&](auto type) {
    using T = decltype(type);
    add_columns(pointer<T>(x), pointer<T>(sums), x.size(0), x.size(1));
  });
}

void scale_tangents(const at::Tensor& slope, const at::Tensor& tangents, const at::Tensor& out) {
  by_type(slope, [&](auto type) {
    using T = decltype(type);
    const TangentSizes s = sizes_of(slope, tangents);
    if (!gpu::runs_tasks(slope)) {
      return scale(pointer<T>(slope), pointer<T>(tangents), pointer<T>(out), s);
    }
    gpu::for_elements(slope.device(),
                      gpu::ScaleTangents<T>{pointer<T>(slope), pointer<T>(tangents),
                                            pointer<T>(out), s.k, s.width, s.step},
                      out.numel());
  });
}

void contract_tangents(const at::Tensor& slope, const at::Tensor& tangents,
                       const at::Tensor& weight, const at::Tensor& trace) {
  by_type(slope, [&](auto type) {
    using T = decltype(type);
    const TangentSizes s = sizes_of(slope, tangents);
    if (!gpu::runs_tasks(slope)) {
      return contract(pointer<T>(slope), pointer<T>(tangents), pointer<T>(weight),
                      pointer<T>(trace), s);
    }
    gpu::for_rows(
        slope.device(),
        gpu::ContractTangents<T>{pointer<T>(slope), pointer<T>(tangents), pointer<T>(weight),
                                 pointer<T>(trace), s.k, s.width, s.step},
        s.n);
  });
}

}  // namespace calor::net::kernels
