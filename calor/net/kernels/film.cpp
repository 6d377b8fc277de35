#include "calor/net/kernels/film.h"

#include <ATen/ATen.h>

#include "calor/net/kernels/by_type.h"
#include "calor/net/kernels/clones.h"

namespace calor::net::kernels {
namespace {

template <class T>
struct Forward {
  T* values;
  T* film;
  const T* bias;
  const T* film_bias;
  std::int64_t rows, width, film_step;  // from one row's numbers to the next one's
};

template <class T>
CALOR_INLINE void forward_loop(const Forward<T>& task) {
  const T* __restrict__ bias = task.bias;
  const T* __restrict__ scale_bias = task.film_bias;
  const T* __restrict__ shift_bias = task.film_bias + task.width;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    T* __restrict__ values = task.values + row * task.width;
    T* __restrict__ scales = task.film + row * task.film_step;
    T* __restrict__ shifts = scales + task.width;
    for (std::int64_t j = 0; j < task.width; ++j) {
      const T a = values[j] + bias[j];
      const T scale = scales[j] + (T(1) + scale_bias[j]);
      values[j] = scale * a + (shifts[j] + shift_bias[j]);
      scales[j] = scale;
      shifts[j] = a;
    }
  }
}

template <class T>
struct Backward {
  T* gradient;
  const T* film;
  const T* skip;  // or null
  T* film_gradient;
  T* a_sums;
  T* scale_sums;
  std::int64_t rows, width, film_step, gradient_step;
};

template <bool with_skip, class T>
CALOR_INLINE void backward_loop(const Backward<T>& task) {
  T* __restrict__ a_sums = task.a_sums;
  T* __restrict__ scale_sums = task.scale_sums;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    T* __restrict__ gradient = task.gradient + row * task.width;
    const T* __restrict__ scale = task.film + row * task.film_step;
    const T* __restrict__ a = scale + task.width;
    const T* __restrict__ skip = with_skip ? task.skip + row * task.width : nullptr;
    T* __restrict__ to_scale = task.film_gradient + row * task.gradient_step;
    T* __restrict__ to_shift = to_scale + task.width;
    for (std::int64_t j = 0; j < task.width; ++j) {
      const T g = gradient[j];
      T to_a = g * scale[j];
      if constexpr (with_skip) to_a += skip[j];
      to_scale[j] = g * a[j];
      to_shift[j] = g;
      gradient[j] = to_a;
      scale_sums[j] += g * a[j];
      a_sums[j] += to_a;
    }
  }
}

template <class T>
CALOR_INLINE void backward_any(const Backward<T>& task) {
  if (task.skip != nullptr) return backward_loop<true>(task);
  backward_loop<false>(task);
}

CALOR_CLONES void run(const Forward<float>& task) { forward_loop(task); }
CALOR_CLONES void run(const Backward<float>& task) { backward_any(task); }
void run(const Forward<double>& task) { forward_loop(task); }
void run(const Backward<double>& task) { backward_any(task); }

}  // namespace

void film_forward(const at::Tensor& values, const at::Tensor& bias, const at::Tensor& film,
                  const at::Tensor& film_bias) {
  by_type(values, [&](auto type) {
    using T = decltype(type);
    run(Forward<T>{pointer<T>(values), pointer<T>(film), pointer<T>(bias), pointer<T>(film_bias),
                   values.size(0), values.size(1), film.stride(0)});
  });
}

void film_backward(const FilmBackward& task) {
  by_type(task.gradient, [&](auto type) {
    using T = decltype(type);
    run(Backward<T>{pointer<T>(task.gradient), pointer<T>(task.film), pointer<T>(task.skip),
                    pointer<T>(task.film_gradient), pointer<T>(task.a_sums),
                    pointer<T>(task.scale_sums), task.gradient.size(0), task.gradient.size(1),
                    task.film.stride(0), task.film_gradient.stride(0)});
  });
}

}  // namespace calor::net::kernels
