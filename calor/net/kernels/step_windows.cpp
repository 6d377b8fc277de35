#include "calor/net/kernels/step_windows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/clones.h"
#include "calor/net/kernels/row_pieces.h"

namespace calor::net::kernels {
namespace {

constexpr std::int64_t samples_of_piece = 16;

// A bf16 number is the upper half of an fp32 one.
using Half = std::uint16_t;

CALOR_INLINE Half round_to_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  return static_cast<Half>(x == x ? rounded : 0x7FC0U);
}
CALOR_INLINE float from_half(Half x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16U);
}

CALOR_INLINE void convert(float x, float& y) { y = x; }
CALOR_INLINE void convert(double x, double& y) { y = x; }
CALOR_INLINE void convert(float x, Half& y) { y = round_to_half(x); }
CALOR_INLINE void convert(Half x, float& y) { y = from_half(x); }

struct Sizes {
  std::int64_t steps, channels, count;
  Windows windows;
};

// The places k of window j that lie inside: [first, last).
struct Inside {
  std::int64_t begin, first, last;
};
CALOR_INLINE Inside inside(const Sizes& s, std::int64_t j) {
  const std::int64_t begin = j * s.windows.stride - s.windows.padding;
  const std::int64_t first = std::min(std::max<std::int64_t>(-begin, 0), s.windows.kernel);
  return {begin, first, std::max(first, std::min(s.windows.kernel, s.steps - begin))};
}

// One sample; the places of a window that lie inside are neighbours in both.
template <class From, class To>
CALOR_INLINE void gather(const From* __restrict__ x, To* __restrict__ out, const Sizes& s) {
  for (std::int64_t j = 0; j < s.count; ++j, out += s.windows.kernel * s.channels) {
    const Inside in = inside(s, j);
    std::fill(out, out + in.first * s.channels, To(0));
    const From* from = x + (in.begin + in.first) * s.channels;
    To* to = out + in.first * s.channels;
    const std::int64_t numbers = (in.last - in.first) * s.channels;
    for (std::int64_t i = 0; i < numbers; ++i) convert(from[i], to[i]);
    std::fill(out + in.last * s.channels, out + s.windows.kernel * s.channels, To(0));
  }
}

template <class From, class To>
CALOR_INLINE void scatter(const From* __restrict__ values, To* __restrict__ out, const Sizes& s) {
  std::fill(out, out + s.steps * s.channels, To(0));
  for (std::int64_t j = 0; j < s.count; ++j, values += s.windows.kernel * s.channels) {
    const Inside in = inside(s, j);
    const From* from = values + in.first * s.channels;
    To* to = out + (in.begin + in.first) * s.channels;
    const std::int64_t numbers = (in.last - in.first) * s.channels;
    for (std::int64_t i = 0; i < numbers; ++i) {
      To value;
      convert(from[i], value);
      to[i] += value;
    }
  }
}

CALOR_CLONES void run_gather(const float* x, float* out, const Sizes& s) { gather(x, out, s); }
CALOR_CLONES void run_gather(const float* x, Half* out, const Sizes& s) { gather(x, out, s); }
void run_gather(const double* x, double* out, const Sizes& s) { gather(x, out, s); }
CALOR_CLONES void run_scatter(const float* x, float* out, const Sizes& s) { scatter(x, out, s); }
CALOR_CLONES void run_scatter(const Half* x, float* out, const Sizes& s) { scatter(x, out, s); }
void run_scatter(const double* x, double* out, const Sizes& s) { scatter(x, out, s); }

Sizes sizes_of(std::int64_t steps, std::int64_t channels, const Windows& windows) {
  return {steps, channels, windows.count(steps), windows};
}

// Whether the loops above have the pair of types.
bool has_loop(const at::Tensor& wide, at::ScalarType narrow) {
  if (!wide.is_cpu() || wide.numel() == 0) return false;
  const at::ScalarType type = wide.scalar_type();
  return (type == at::kFloat && (narrow == at::kFloat || narrow == at::kBFloat16)) ||
         (type == at::kDouble && narrow == at::kDouble);
}

at::Tensor gather_all(const at::Tensor& input, const Windows& windows, at::ScalarType type) {
  if (!has_loop(input, type)) return step_windows_reference(input, windows, type);
  const at::Tensor x = input.contiguous();
  const std::int64_t n = x.size(0);
  const Sizes s = sizes_of(x.size(1), x.size(2), windows);
  at::Tensor out = at::empty({n, s.count, windows.kernel, s.channels}, x.options().dtype(type));
  const std::int64_t from = s.steps * s.channels, to = s.count * windows.kernel * s.channels;
  const auto loop = [&](const auto* a, auto* b) {
    for_row_pieces(n, samples_of_piece, [&](std::int64_t begin, std::int64_t count) {
      for (std::int64_t i = begin; i < begin + count; ++i) run_gather(a + i * from, b + i * to, s);
    });
  };
  if (type == at::kBFloat16) {
    loop(pointer<float>(x), pointer<Half>(out));
  } else {
    by_type(x, [&](auto t) { loop(pointer<decltype(t)>(x), pointer<decltype(t)>(out)); });
  }
  return out;
}

at::Tensor scatter_all(const at::Tensor& input, std::int64_t steps, const Windows& windows) {
  const at::ScalarType wide = input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (!input.is_cpu() || input.numel() == 0) {
    return add_step_windows_reference(input, steps, windows);
  }
  const at::Tensor values = input.contiguous();
  const std::int64_t n = values.size(0);
  const Sizes s = sizes_of(steps, values.size(3), windows);
  at::Tensor out = at::empty({n, steps, s.channels}, values.options().dtype(wide));
  const std::int64_t from = s.count * windows.kernel * s.channels, to = steps * s.channels;
  const auto loop = [&](const auto* a, auto* b) {
    for_row_pieces(n, samples_of_piece, [&](std::int64_t begin, std::int64_t count) {
      for (std::int64_t i = begin; i < begin + count; ++i) run_scatter(a + i * from, b + i * to, s);
    });
  };
  if (values.scalar_type() == at::kBFloat16) {
    loop(pointer<Half>(values), pointer<float>(out));
  } else {
    by_type(out, [&](auto t) { loop(pointer<decltype(t)>(values), pointer<decltype(t)>(out)); });
  }
  return out;
}

// Each is the other's derivative.
class Gather final : public torch::autograd::Function<Gather> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const Windows& windows, at::ScalarType type) {
    context->saved_data["steps"] = x.size(1);
    context->saved_data["windows"] =
        std::vector<std::int64_t>{windows.kernel, windows.stride, windows.padding};
    return gather_all(x, windows, type);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto w = context->saved_data["windows"].toIntVector();
    return {scatter_all(gradients[0], context->saved_data["steps"].toInt(), {w[0], w[1], w[2]}),
            at::Tensor(), at::Tensor()};
  }
};

class Scatter final : public torch::autograd::Function<Scatter> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& values,
                            std::int64_t steps, const Windows& windows) {
    context->saved_data["type"] = values.scalar_type();
    context->saved_data["windows"] =
        std::vector<std::int64_t>{windows.kernel, windows.stride, windows.padding};
    return scatter_all(values, steps, windows);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto w = context->saved_data["windows"].toIntVector();
    return {
        gather_all(gradients[0], {w[0], w[1], w[2]}, context->saved_data["type"].toScalarType()),
        at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor step_windows(const at::Tensor& x, const Windows& windows, at::ScalarType type) {
  return Gather::apply(x, windows, type);
}

at::Tensor add_step_windows(const at::Tensor& values, std::int64_t steps, const Windows& windows) {
  return Scatter::apply(values, steps, windows);
}

at::Tensor step_windows_reference(const at::Tensor& x, const Windows& windows,
                                  at::ScalarType type) {
  const at::Tensor padded = at::constant_pad_nd(x, {0, 0, windows.padding, windows.padding});
  return padded.unfold(1, windows.kernel, windows.stride).transpose(2, 3).to(type);
}

at::Tensor add_step_windows_reference(const at::Tensor& values, std::int64_t steps,
                                      const Windows& windows) {
  const at::ScalarType wide = values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor out = at::zeros({values.size(0), steps + 2 * windows.padding, values.size(3)},
                             values.options().dtype(wide));
  for (std::int64_t j = 0; j < values.size(1); ++j) {
    out.narrow(1, j * windows.stride, windows.kernel).add_(values.select(1, j).to(wide));
  }
  return out.narrow(1, windows.padding, steps);
}

}  // namespace calor::net::kernels
