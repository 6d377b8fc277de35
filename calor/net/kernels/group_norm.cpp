#include "calor/net/kernels/group_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <type_traits>
#include <vector>

#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/clones.h"
#include "calor/net/kernels/gpu/group_norm_tasks.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/row_pieces.h"
#include "calor/net/kernels/stored.h"

namespace calor::net::kernels {
namespace {

struct Sizes {
  std::int64_t places, channels, groups;
  std::int64_t width() const { return channels / groups; }
  std::int64_t numbers() const { return places * channels; }
};

// One sample's tensors. X and Y: what x and y are stored as.
template <class X, class Y>
struct Forward {
  using T = Computed<X>;
  AfterNorm f;
  const X* x;
  const T* scale;
  const T* shift;
  const T* film;  // or null
  Y* y;
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

template <class X, class Y>
CALOR_INLINE void statistics(const Forward<X, Y>& task, const Sizes& s) {
  using T = Computed<X>;
  T* __restrict__ sums = task.work;
  T* __restrict__ means = task.work + s.channels;
  const T count = static_cast<T>(s.places * s.width());
  std::fill(sums, sums + s.channels, T(0));
  for (std::int64_t t = 0; t < s.places; ++t) {
    const X* __restrict__ x = task.x + t * s.channels;
    for (std::int64_t c = 0; c < s.channels; ++c) sums[c] += computed(x[c]);
  }
  for (std::int64_t g = 0; g < s.groups; ++g) {
    task.mean[g] = sum_of(sums + g * s.width(), s.width()) / count;
    std::fill(means + g * s.width(), means + (g + 1) * s.width(), task.mean[g]);
  }
  std::fill(sums, sums + s.channels, T(0));
  for (std::int64_t t = 0; t < s.places; ++t) {
    const X* __restrict__ x = task.x + t * s.channels;
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const T apart = computed(x[c]) - means[c];
      sums[c] += apart * apart;
    }
  }
  for (std::int64_t g = 0; g < s.groups; ++g) {
    const T variance = sum_of(sums + g * s.width(), s.width()) / count;
    task.inverse[g] = T(1) / std::sqrt(variance + static_cast<T>(group_norm_epsilon));
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

template <class Pass, class F, class Task>
CALOR_INLINE void by_film(const Task& task, const Sizes& s) {
  if (task.film != nullptr) return Pass::template run<F, true>(task, s);
  Pass::template run<F, false>(task, s);
}

// Pass::run<F, with_film>(task, sizes) with the task's activation. No lambda, which would not be
// compiled for each instruction set with the function that calls this.
template <class Pass, class Task>
CALOR_INLINE void by_activation(const Task& task, const Sizes& s) {
  switch (task.f) {
    case AfterNorm::nothing:
      return by_film<Pass, Identity>(task, s);
    case AfterNorm::silu:
      return by_film<Pass, Silu>(task, s);
    case AfterNorm::mish:
      return by_film<Pass, Mish>(task, s);
  }
}

struct Apply {
  template <class F, bool with_film, class X, class Y>
  CALOR_INLINE static void run(const Forward<X, Y>& task, const Sizes& s) {
    using T = Computed<X>;
    const T* __restrict__ mean = task.work;
    const T* __restrict__ inverse = task.work + s.channels;
    const T* __restrict__ scale = task.scale;
    const T* __restrict__ shift = task.shift;
    const T* __restrict__ film_scale = with_film ? task.film : nullptr;
    const T* __restrict__ film_shift = with_film ? task.film + s.channels : nullptr;
    for (std::int64_t t = 0; t < s.places; ++t) {
      const X* __restrict__ x = task.x + t * s.channels;
      Y* __restrict__ y = task.y + t * s.channels;
#pragma omp simd
      for (std::int64_t c = 0; c < s.channels; ++c) {
        const T n = (computed(x[c]) - mean[c]) * inverse[c] * scale[c] + shift[c];
        const T value = F::both(n).value;
        store(with_film ? film_scale[c] * value + film_shift[c] : value, y[c]);
      }
    }
  }
};

template <class X, class Y>
CALOR_INLINE void forward_loop(const Forward<X, Y>& task, const Sizes& s) {
  statistics(task, s);
  spread(task.mean, task.inverse, task.work, s);
  by_activation<Apply>(task, s);
}

// With g the gradient of y and h = g film_scale f'(n) that of n, u = (x - mean) / deviation:
//     d film = (sum_t g f(n), sum_t g),  d scale = sum_t h u,  d shift = sum_t h,
//     d x = (h scale - mean(h scale) - u mean(h scale u)) / deviation,
// the means over a group.
template <class X, class Y>
struct Backward {
  using T = Computed<X>;
  AfterNorm f;
  const Y* gradient;
  const X* x;
  const T* mean;
  const T* inverse;
  const T* scale;
  const T* shift;
  const T* film;  // or null
  X* dx;
  T* h;       // [T, C]; may be dx itself
  T* dscale;  // [C], of this sample
  T* dshift;  // [C]
  T* dfilm;   // [2 C], or null
  T* work;    // [4 C]
};

struct Sums {
  template <class F, bool with_film, class X, class Y>
  CALOR_INLINE static void run(const Backward<X, Y>& task, const Sizes& s) {
    using T = Computed<X>;
    const T* __restrict__ mean = task.work;
    const T* __restrict__ inverse = task.work + s.channels;
    const T* __restrict__ scale = task.scale;
    const T* __restrict__ shift = task.shift;
    const T* __restrict__ film_scale = task.film;
    T* __restrict__ dscale = task.dscale;
    T* __restrict__ dshift = task.dshift;
    T* __restrict__ dfilm_scale = with_film ? task.dfilm : nullptr;
    T* __restrict__ dfilm_shift = with_film ? task.dfilm + s.channels : nullptr;
    for (std::int64_t t = 0; t < s.places; ++t) {
      const X* __restrict__ x = task.x + t * s.channels;
      const Y* __restrict__ gradient = task.gradient + t * s.channels;
      T* __restrict__ h = task.h + t * s.channels;
#pragma omp simd
      for (std::int64_t c = 0; c < s.channels; ++c) {
        const T u = (computed(x[c]) - mean[c]) * inverse[c];
        const ValueSlope<T> f = F::both(u * scale[c] + shift[c]);
        T g = computed(gradient[c]);
        if constexpr (with_film) {
          dfilm_scale[c] += g * f.value;
          dfilm_shift[c] += g;
          g *= film_scale[c];
        }
        h[c] = g * f.slope;
        dshift[c] += h[c];
        dscale[c] += h[c] * u;
      }
    }
  }
};

// h -> d x, given the sums.
template <class X, class Y>
CALOR_INLINE void input_loop(const Backward<X, Y>& task, const Sizes& s) {
  using T = Computed<X>;
  const T* __restrict__ mean = task.work;
  const T* __restrict__ inverse = task.work + s.channels;
  T* __restrict__ along_one = task.work + 2 * s.channels;
  T* __restrict__ along_u = task.work + 3 * s.channels;
  const T* __restrict__ scale = task.scale;
  const T count = static_cast<T>(s.places * s.width());
  for (std::int64_t first = 0; first < s.channels; first += s.width()) {
    T one = 0, u = 0;
    for (std::int64_t c = first; c < first + s.width(); ++c) {
      one += task.dshift[c] * scale[c];
      u += task.dscale[c] * scale[c];
    }
    std::fill(along_one + first, along_one + first + s.width(), one / count);
    std::fill(along_u + first, along_u + first + s.width(), u / count);
  }
  for (std::int64_t t = 0; t < s.places; ++t) {
    const X* __restrict__ x = task.x + t * s.channels;
    const T* h = task.h + t * s.channels;  // may lie where dx does
    X* dx = task.dx + t * s.channels;
#pragma omp simd
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const T u = (computed(x[c]) - mean[c]) * inverse[c];
      store((h[c] * scale[c] - along_one[c] - u * along_u[c]) * inverse[c], dx[c]);
    }
  }
}

template <class X, class Y>
CALOR_INLINE void backward_loop(const Backward<X, Y>& task, const Sizes& s) {
  using T = Computed<X>;
  spread(task.mean, task.inverse, task.work, s);
  std::fill(task.dscale, task.dscale + s.channels, T(0));
  std::fill(task.dshift, task.dshift + s.channels, T(0));
  if (task.film != nullptr) std::fill(task.dfilm, task.dfilm + 2 * s.channels, T(0));
  by_activation<Sums>(task, s);
  input_loop(task, s);
}

#define CALOR_RUN(X, Y)                                                                       \
  CALOR_CLONES void run(const Forward<X, Y>& task, const Sizes& s) { forward_loop(task, s); } \
  CALOR_CLONES void run(const Backward<X, Y>& task, const Sizes& s) { backward_loop(task, s); }
CALOR_RUN(float, float)
CALOR_RUN(float, at::BFloat16)
CALOR_RUN(at::BFloat16, float)
CALOR_RUN(at::BFloat16, at::BFloat16)
void run(const Forward<double, double>& task, const Sizes& s) { forward_loop(task, s); }
void run(const Backward<double, double>& task, const Sizes& s) { backward_loop(task, s); }

// Calls body(X{}, Y{}) with what x and y are stored as.
template <class Body>
void by_stored_types(at::ScalarType x, at::ScalarType y, const Body& body) {
  if (x == at::kDouble) return body(double{}, double{});
  const auto with_x = [&](auto x_stored) {
    if (y == at::kBFloat16) return body(x_stored, at::BFloat16{});
    body(x_stored, float{});
  };
  if (x == at::kBFloat16) return with_x(at::BFloat16{});
  with_x(float{});
}

// body(X{}, Y{}, begin, count) for each piece of the samples, on all threads.
template <class Body>
void for_sample_pieces(const at::Tensor& x, at::ScalarType y, const Body& body) {
  constexpr std::int64_t numbers_at_once = 1 << 15;
  const std::int64_t samples =
      std::clamp<std::int64_t>(numbers_at_once / (x.size(1) * x.size(2)), 1, 16);
  by_stored_types(x.scalar_type(), y, [&](auto x_stored, auto y_stored) {
    for_row_pieces(x.size(0), samples, [&](std::int64_t begin, std::int64_t count) {
      body(x_stored, y_stored, begin, count);
    });
  });
}

// One number of scale, shift or film of a sample to that of the next one.
std::int64_t step_of(const at::Tensor& rows) { return rows.size(0) == 1 ? 0 : rows.stride(0); }

// A sample's numbers; null where the tensor is undefined.
template <class T>
T* of_sample(const at::Tensor& x, std::int64_t i, std::int64_t step) {
  return x.defined() ? pointer<T>(x) + i * step : nullptr;
}

// What both passes read.
struct Given {
  at::Tensor x, moments, scale, shift, film;
  AfterNorm f;
  Sizes sizes;
  std::int64_t samples() const { return x.size(0); }
};

// What the backward pass writes: sums [2, N, C], of scale and of shift.
struct Gradients {
  at::Tensor x, sums, film;
};

void forward_as_tasks(const Given& in, const at::Tensor& y) {
  const Sizes& s = in.sizes;
  const std::int64_t rows = in.samples() * s.groups;
  by_stored_types(in.x.scalar_type(), y.scalar_type(), [&](auto x_stored, auto y_stored) {
    using X = decltype(x_stored);
    using Y = decltype(y_stored);
    using T = Computed<X>;
    T* mean = pointer<T>(in.moments);
    gpu::for_rows(in.x.device(),
                  gpu::GroupNormForward<X, Y>{in.f, pointer<X>(in.x), pointer<T>(in.scale),
                                              pointer<T>(in.shift), pointer<T>(in.film),
                                              pointer<Y>(y), mean, mean + rows, step_of(in.scale),
                                              step_of(in.shift), s.places, s.channels, s.groups},
                  rows);
  });
}

void forward_on_processor(const Given& in, const at::Tensor& y) {
  const Sizes& s = in.sizes;
  const auto piece = [&](auto x_stored, auto y_stored, std::int64_t begin, std::int64_t count) {
    using X = decltype(x_stored);
    using Y = decltype(y_stored);
    using T = Computed<X>;
    std::vector<T> work(static_cast<std::size_t>(2 * s.channels));
    for (std::int64_t i = begin; i < begin + count; ++i) {
      T* mean = pointer<T>(in.moments) + i * s.groups;
      run(Forward<X, Y>{in.f, of_sample<X>(in.x, i, s.numbers()),
                        of_sample<T>(in.scale, i, step_of(in.scale)),
                        of_sample<T>(in.shift, i, step_of(in.shift)),
                        of_sample<T>(in.film, i, 2 * s.channels), of_sample<Y>(y, i, s.numbers()),
                        mean, mean + in.samples() * s.groups, work.data()},
          s);
    }
  };
  for_sample_pieces(in.x, y.scalar_type(), piece);
}

void backward_as_tasks(const Given& in, const at::Tensor& g, const Gradients& out) {
  const Sizes& s = in.sizes;
  const std::int64_t n = in.samples();
  by_stored_types(in.x.scalar_type(), g.scalar_type(), [&](auto x_stored, auto y_stored) {
    using X = decltype(x_stored);
    using Y = decltype(y_stored);
    using T = Computed<X>;
    const T* mean = pointer<T>(in.moments);
    T* dscale = pointer<T>(out.sums);
    T* dshift = dscale + n * s.channels;
    const gpu::GroupNormPlaces<X, Y> all{in.f,
                                         pointer<Y>(g),
                                         pointer<X>(in.x),
                                         mean,
                                         mean + n * s.groups,
                                         pointer<T>(in.scale),
                                         pointer<T>(in.shift),
                                         pointer<T>(in.film),
                                         step_of(in.scale),
                                         step_of(in.shift),
                                         s.places,
                                         s.channels,
                                         s.groups};
    const at::Device device = in.x.device();
    gpu::for_columns(device, gpu::GroupNormSums<X, Y>{all, dscale, dshift, pointer<T>(out.film)}, n,
                     s.places, s.channels);
    gpu::for_rows(device, gpu::GroupNormBackward<X, Y>{all, dscale, dshift, pointer<X>(out.x)},
                  n * s.groups);
  });
}

void backward_on_processor(const Given& in, const at::Tensor& g, const Gradients& out) {
  const Sizes& s = in.sizes;
  const auto piece = [&](auto x_stored, auto y_stored, std::int64_t begin, std::int64_t count) {
    using X = decltype(x_stored);
    using Y = decltype(y_stored);
    using T = Computed<X>;
    // Where dx is stored in fewer bits, h is kept apart.
    constexpr bool apart = !std::is_same_v<X, T>;
    std::vector<T> work(static_cast<std::size_t>(4 * s.channels + (apart ? s.numbers() : 0)));
    for (std::int64_t i = begin; i < begin + count; ++i) {
      const T* mean = pointer<T>(in.moments) + i * s.groups;
      T* dscale = of_sample<T>(out.sums, i, s.channels);
      X* dx = of_sample<X>(out.x, i, s.numbers());
      T* h = work.data() + 4 * s.channels;
      if constexpr (!apart) h = dx;
      run(Backward<X, Y>{in.f, of_sample<Y>(g, i, s.numbers()), of_sample<X>(in.x, i, s.numbers()),
                         mean, mean + in.samples() * s.groups,
                         of_sample<T>(in.scale, i, step_of(in.scale)),
                         of_sample<T>(in.shift, i, step_of(in.shift)),
                         of_sample<T>(in.film, i, 2 * s.channels), dx, h, dscale,
                         dscale + in.samples() * s.channels,
                         of_sample<T>(out.film, i, 2 * s.channels), work.data()},
          s);
    }
  };
  for_sample_pieces(in.x, g.scalar_type(), piece);
}

class Normed final : public torch::autograd::Function<Normed> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& scale, const at::Tensor& shift,
                            const std::optional<at::Tensor>& film, std::int64_t groups,
                            std::int64_t f, at::ScalarType type) {
    const Given in{
        .x = x.contiguous(),
        .moments = at::empty({2, x.size(0), groups}, scale.options()),
        .scale = side_by_side(scale),
        .shift = side_by_side(shift),
        .film = film ? film->contiguous() : at::Tensor(),
        .f = static_cast<AfterNorm>(f),
        .sizes = {.places = x.size(1), .channels = x.size(2), .groups = groups},
    };
    at::Tensor y = at::empty(x.sizes(), x.options().dtype(type));
    gpu::runs_tasks(x) ? forward_as_tasks(in, y) : forward_on_processor(in, y);
    context->saved_data["groups"] = groups;
    context->saved_data["f"] = f;
    context->save_for_backward({in.x, in.moments, in.scale, in.shift, in.film});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const Given in{.x = x,
                   .moments = saved[1],
                   .scale = saved[2],
                   .shift = saved[3],
                   .film = saved[4],
                   .f = static_cast<AfterNorm>(context->saved_data["f"].toInt()),
                   .sizes = {.places = x.size(1),
                             .channels = x.size(2),
                             .groups = context->saved_data["groups"].toInt()}};
    const Gradients out{
        .x = at::empty_like(x),
        .sums = at::empty({2, x.size(0), x.size(2)}, in.scale.options()),
        .film = in.film.defined() ? at::empty_like(in.film) : at::Tensor(),
    };
    const at::Tensor g = gradients[0].contiguous();
    gpu::runs_tasks(x) ? backward_as_tasks(in, g, out) : backward_on_processor(in, g, out);
    // What all samples share gets the sum over them.
    const auto gathered = [&](std::int64_t which, const at::Tensor& like) {
      return like.size(0) == 1 ? out.sums[which].sum(0, true) : out.sums[which];
    };
    return {out.x,        gathered(0, in.scale), gathered(1, in.shift), out.film,
            at::Tensor(), at::Tensor(),          at::Tensor()};
  }
};

// Whether the kernels know all of these numbers; the others are left to LibTorch, which converts
// some and refuses the rest.
bool has_fused(const at::Tensor& x, const GroupNorm& norm, at::ScalarType type) {
  if (x.numel() == 0 || !(x.is_cpu() || gpu::serves(x))) return false;
  const std::int64_t n = x.size(0), c = x.size(2);
  if (!is_stored_type(x.scalar_type()) || !is_stored_type(type) || c % norm.groups != 0)
    return false;
  const at::ScalarType computed = computed_type(x.scalar_type());
  const auto known = [&](const at::Tensor& rows, std::int64_t width) {
    return rows.scalar_type() == computed && rows.dim() == 2 && rows.size(1) == width;
  };
  const auto one_or_all = [&](const at::Tensor& rows) {
    return known(rows, c) && (rows.size(0) == 1 || rows.size(0) == n);
  };
  const bool film = !norm.film.defined() || (known(norm.film, 2 * c) && norm.film.size(0) == n);
  return computed_type(type) == computed && one_or_all(norm.scale) && one_or_all(norm.shift) &&
         film;
}

}  // namespace

at::Tensor group_norm(const at::Tensor& x, const GroupNorm& norm, at::ScalarType type) {
  if (!has_fused(x, norm, type)) return group_norm_reference(x, norm, type);
  return Normed::apply(x, norm.scale, norm.shift,
                       norm.film.defined() ? std::optional(norm.film) : std::nullopt, norm.groups,
                       static_cast<std::int64_t>(norm.f), type);
}

at::Tensor group_norm_reference(const at::Tensor& x, const GroupNorm& norm, at::ScalarType type) {
  const at::Tensor wide = x.to(computed_type(x.scalar_type())).transpose(1, 2);
  const at::Tensor normal =
      at::group_norm(wide, norm.groups, {}, {}, group_norm_epsilon).transpose(1, 2);
  at::Tensor y = at::addcmul(norm.shift.unsqueeze(1), normal, norm.scale.unsqueeze(1));
  if (norm.f == AfterNorm::silu) y = at::silu(y);
  if (norm.f == AfterNorm::mish) y = at::mish(y);
  if (norm.film.defined()) {
    const auto parts = norm.film.unsqueeze(1).chunk(2, 2);
    y = at::addcmul(parts[1], parts[0], y);
  }
  return y.to(type);
}

}  // namespace calor::net::kernels
