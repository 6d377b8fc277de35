#include "calor/net/kernels/group_norm_mish.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>
#include <vector>

#include "calor/net/kernels/activation_math.h"
#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/clones.h"
#include "calor/net/kernels/row_pieces.h"

namespace calor::net::kernels {
namespace {

constexpr double epsilon = 1e-5;
constexpr std::int64_t samples_of_piece = 16;

// With w = e^2 + 2 e, e = exp(n): tanh(ln(1 + e)) = w / (w + 2), no cancellation anywhere. Beyond
// 20 both are 1 in fp64, and e stays finite in fp32.
template <class T>
CALOR_INLINE ValueSlope<T> mish(T n) {
  const T e = exp_of(smaller(n, T(20)));
  const T w = e * (e + T(2));
  const T tanh = w / (w + T(2));
  const T rest = T(4) * (w + T(1)) / ((w + T(2)) * (w + T(2)));  // 1 - tanh^2
  return {n * tanh, tanh + n * rest * (e / (e + T(1)))};
}

struct Sizes {
  std::int64_t steps, channels, groups;
  std::int64_t width() const { return channels / groups; }
  std::int64_t numbers() const { return steps * channels; }
};

// One sequence's tensors.
template <class T>
struct Forward {
  const T* x;
  const T* weight;
  const T* bias;
  const T* film;  // or null
  T* y;
  T* mean;     // [groups]
  T* inverse;  // [groups], one over the standard deviation
  T* work;     // [2 C]: the same for each channel
};

template <class T>
CALOR_INLINE T sum_of(const T* numbers, std::int64_t count) {
  T sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += numbers[i];
  return sum;
}

template <class T>
CALOR_INLINE void statistics(const Forward<T>& task, const Sizes& s) {
  T* __restrict__ sums = task.work;
  T* __restrict__ means = task.work + s.channels;
  const T count = static_cast<T>(s.steps * s.width());
  std::fill(sums, sums + s.channels, T(0));
  for (std::int64_t t = 0; t < s.steps; ++t) {
    const T* __restrict__ x = task.x + t * s.channels;
    for (std::int64_t c = 0; c < s.channels; ++c) sums[c] += x[c];
  }
  for (std::int64_t g = 0; g < s.groups; ++g) {
    task.mean[g] = sum_of(sums + g * s.width(), s.width()) / count;
    std::fill(means + g * s.width(), means + (g + 1) * s.width(), task.mean[g]);
  }
  std::fill(sums, sums + s.channels, T(0));
  for (std::int64_t t = 0; t < s.steps; ++t) {
    const T* __restrict__ x = task.x + t * s.channels;
    for (std::int64_t c = 0; c < s.channels; ++c) sums[c] += (x[c] - means[c]) * (x[c] - means[c]);
  }
  for (std::int64_t g = 0; g < s.groups; ++g) {
    const T variance = sum_of(sums + g * s.width(), s.width()) / count;
    task.inverse[g] = T(1) / std::sqrt(variance + static_cast<T>(epsilon));
  }
}

// The groups' numbers, for each channel.
template <class T>
CALOR_INLINE void spread(const T* mean, const T* inverse, T* work, const Sizes& s) {
  for (std::int64_t g = 0; g < s.groups; ++g) {
    T* own = work + g * s.width();
    std::fill(own, own + s.width(), mean[g]);
    std::fill(own + s.channels, own + s.channels + s.width(), inverse[g]);
  }
}

template <bool with_film, class T>
CALOR_INLINE void apply(const Forward<T>& task, const Sizes& s) {
  const T* __restrict__ mean = task.work;
  const T* __restrict__ inverse = task.work + s.channels;
  const T* __restrict__ weight = task.weight;
  const T* __restrict__ bias = task.bias;
  const T* __restrict__ scale = with_film ? task.film : nullptr;
  const T* __restrict__ shift = with_film ? task.film + s.channels : nullptr;
  for (std::int64_t t = 0; t < s.steps; ++t) {
    const T* __restrict__ x = task.x + t * s.channels;
    T* __restrict__ y = task.y + t * s.channels;
#pragma omp simd
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const T m = mish((x[c] - mean[c]) * inverse[c] * weight[c] + bias[c]).value;
      y[c] = with_film ? scale[c] * m + shift[c] : m;
    }
  }
}

template <class T>
CALOR_INLINE void forward_loop(const Forward<T>& task, const Sizes& s) {
  statistics(task, s);
  spread(task.mean, task.inverse, task.work, s);
  if (task.film != nullptr) return apply<true>(task, s);
  apply<false>(task, s);
}

// With g the gradient of y and h = g film_scale mish'(n) that of n, u = (x - mean) / deviation:
//     d film = (sum_t g mish(n), sum_t g),  d weight = sum_t h u,  d bias = sum_t h,
//     d x = (h weight - mean(h weight) - u mean(h weight u)) / deviation,
// the means over a group.
template <class T>
struct Backward {
  const T* gradient;
  const T* x;
  const T* mean;
  const T* inverse;
  const T* weight;
  const T* bias;
  const T* film;  // or null
  T* dx;          // first h, then d x
  T* dweight;     // [C], of this sequence
  T* dbias;       // [C]
  T* dfilm;       // [2 C], or null
  T* work;        // [2 C]
};

template <bool with_film, class T>
CALOR_INLINE void sums_loop(const Backward<T>& task, const Sizes& s) {
  const T* __restrict__ mean = task.work;
  const T* __restrict__ inverse = task.work + s.channels;
  const T* __restrict__ weight = task.weight;
  const T* __restrict__ bias = task.bias;
  T* __restrict__ dweight = task.dweight;
  T* __restrict__ dbias = task.dbias;
  T* __restrict__ dscale = with_film ? task.dfilm : nullptr;
  T* __restrict__ dshift = with_film ? task.dfilm + s.channels : nullptr;
  const T* __restrict__ scale = task.film;
  for (std::int64_t t = 0; t < s.steps; ++t) {
    const T* __restrict__ x = task.x + t * s.channels;
    const T* __restrict__ gradient = task.gradient + t * s.channels;
    T* __restrict__ h = task.dx + t * s.channels;
#pragma omp simd
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const T u = (x[c] - mean[c]) * inverse[c];
      const ValueSlope<T> m = mish(u * weight[c] + bias[c]);
      T g = gradient[c];
      if constexpr (with_film) {
        dscale[c] += g * m.value;
        dshift[c] += g;
        g *= scale[c];
      }
      h[c] = g * m.slope;
      dbias[c] += h[c];
      dweight[c] += h[c] * u;
    }
  }
}

// h -> d x, given the sums.
template <class T>
CALOR_INLINE void input_loop(const Backward<T>& task, const Sizes& s) {
  const T* __restrict__ weight = task.weight;
  const T count = static_cast<T>(s.steps * s.width());
  for (std::int64_t g = 0; g < s.groups; ++g) {
    const std::int64_t first = g * s.width(), last = first + s.width();
    T along_one = 0, along_u = 0;
    for (std::int64_t c = first; c < last; ++c) {
      along_one += task.dbias[c] * weight[c];
      along_u += task.dweight[c] * weight[c];
    }
    along_one /= count;
    along_u /= count;
    const T mean = task.mean[g], inverse = task.inverse[g];
    for (std::int64_t t = 0; t < s.steps; ++t) {
      T* __restrict__ dx = task.dx + t * s.channels;
      const T* __restrict__ x = task.x + t * s.channels;
      for (std::int64_t c = first; c < last; ++c) {
        const T u = (x[c] - mean) * inverse;
        dx[c] = (dx[c] * weight[c] - along_one - u * along_u) * inverse;
      }
    }
  }
}

template <class T>
CALOR_INLINE void backward_loop(const Backward<T>& task, const Sizes& s) {
  spread(task.mean, task.inverse, task.work, s);
  std::fill(task.dweight, task.dweight + s.channels, T(0));
  std::fill(task.dbias, task.dbias + s.channels, T(0));
  if (task.film != nullptr) {
    std::fill(task.dfilm, task.dfilm + 2 * s.channels, T(0));
    sums_loop<true>(task, s);
  } else {
    sums_loop<false>(task, s);
  }
  input_loop(task, s);
}

CALOR_CLONES void run(const Forward<float>& task, const Sizes& s) { forward_loop(task, s); }
CALOR_CLONES void run(const Backward<float>& task, const Sizes& s) { backward_loop(task, s); }
void run(const Forward<double>& task, const Sizes& s) { forward_loop(task, s); }
void run(const Backward<double>& task, const Sizes& s) { backward_loop(task, s); }

class GroupNormMish final : public torch::autograd::Function<GroupNormMish> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            std::int64_t groups, const at::Tensor& weight, const at::Tensor& bias,
                            const std::optional<at::Tensor>& film_or_none);
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients);
};

at::Tensor GroupNormMish::forward(torch::autograd::AutogradContext* context,
                                  const at::Tensor& input, std::int64_t groups,
                                  const at::Tensor& weight, const at::Tensor& bias,
                                  const std::optional<at::Tensor>& film_or_none) {
  const at::Tensor x = input.contiguous();
  const at::Tensor film = film_or_none ? film_or_none->contiguous() : at::Tensor();
  const std::int64_t n = x.size(0);
  const Sizes s{.steps = x.size(1), .channels = x.size(2), .groups = groups};
  at::Tensor y = at::empty_like(x);
  at::Tensor moments = at::empty({2, n, groups}, x.options());
  by_type(x, [&](auto type) {
    using T = decltype(type);
    for_row_pieces(n, samples_of_piece, [&](std::int64_t begin, std::int64_t count) {
      std::vector<T> work(static_cast<std::size_t>(2 * s.channels));
      for (std::int64_t i = begin; i < begin + count; ++i) {
        T* mean = pointer<T>(moments) + i * groups;
        const T* given = pointer<T>(film);
        run(Forward<T>{pointer<T>(x) + i * s.numbers(), pointer<T>(weight), pointer<T>(bias),
                       given == nullptr ? given : given + 2 * i * s.channels,
                       pointer<T>(y) + i * s.numbers(), mean, mean + n * groups, work.data()},
            s);
      }
    });
  });
  context->saved_data["groups"] = groups;
  context->save_for_backward({x, moments, weight, bias, film});
  return y;
}

torch::autograd::variable_list GroupNormMish::backward(torch::autograd::AutogradContext* context,
                                                       torch::autograd::variable_list gradients) {
  const auto saved = context->get_saved_variables();
  const at::Tensor &x = saved[0], &moments = saved[1], &weight = saved[2], &film = saved[4];
  const at::Tensor g = gradients[0].contiguous();
  const std::int64_t n = x.size(0), groups = context->saved_data["groups"].toInt();
  const Sizes s{.steps = x.size(1), .channels = x.size(2), .groups = groups};
  const at::Tensor dx = at::empty_like(x);
  const at::Tensor sums = at::empty({n, 2, s.channels}, x.options());  // of weight and bias
  const at::Tensor dfilm = film.defined() ? at::empty_like(film) : at::Tensor();
  by_type(x, [&](auto type) {
    using T = decltype(type);
    for_row_pieces(n, samples_of_piece, [&](std::int64_t begin, std::int64_t count) {
      std::vector<T> work(static_cast<std::size_t>(2 * s.channels));
      for (std::int64_t i = begin; i < begin + count; ++i) {
        const std::int64_t at = i * s.numbers(), row = 2 * i * s.channels;
        const T* mean = pointer<T>(moments) + i * groups;
        T* own = pointer<T>(sums) + row;
        const bool with_film = film.defined();
        run(Backward<T>{pointer<T>(g) + at, pointer<T>(x) + at, mean, mean + n * groups,
                        pointer<T>(weight), pointer<T>(saved[3]),
                        with_film ? pointer<T>(film) + row : nullptr, pointer<T>(dx) + at, own,
                        own + s.channels, with_film ? pointer<T>(dfilm) + row : nullptr,
                        work.data()},
            s);
      }
    });
  });
  const at::Tensor total = sums.sum(0);
  return {dx, at::Tensor(), total[0], total[1], dfilm};
}

bool has_loop(const at::Tensor& x) {
  return x.is_cpu() && x.numel() > 0 &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
}

}  // namespace

at::Tensor group_norm_mish(const at::Tensor& x, std::int64_t groups, const at::Tensor& weight,
                           const at::Tensor& bias, const at::Tensor& film) {
  if (!has_loop(x)) return group_norm_mish_reference(x, groups, weight, bias, film);
  return GroupNormMish::apply(x, groups, weight, bias,
                              film.defined() ? std::optional(film) : std::nullopt);
}

at::Tensor group_norm_mish_reference(const at::Tensor& x, std::int64_t groups,
                                     const at::Tensor& weight, const at::Tensor& bias,
                                     const at::Tensor& film) {
  const at::Tensor normal =
      at::group_norm(x.transpose(1, 2), groups, weight, bias, epsilon).transpose(1, 2);
  const at::Tensor y = at::mish(normal);
  if (!film.defined()) return y;
  const auto parts = film.unsqueeze(1).chunk(2, 2);
  return at::addcmul(parts[1], parts[0], y);
}

}  // namespace calor::net::kernels
