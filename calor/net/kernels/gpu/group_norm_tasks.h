// group_norm's work on a GPU: a team takes one group of one sample; what is summed over a sample's
// places, a column. X and Y: what x and y are stored as.
#pragma once

#include <cmath>
#include <cstdint>

#include "calor/net/kernels/after_norm.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

template <class X, class Y>
struct GroupNormForward {
  using T = Computed<X>;
  AfterNorm f;
  const X* x;
  const T* scale;
  const T* shift;
  const T* film;  // or null
  Y* y;
  T* mean;
  T* inverse;
  std::int64_t scale_step, shift_step, places, channels, groups;

  // row = sample * groups + group
  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const std::int64_t sample = row / groups, width = channels / groups;
    const std::int64_t first = (row - sample * groups) * width, count = places * width;
    const std::int64_t start = sample * places * channels + first;
    const auto number = [&](std::int64_t i) { return start + i / width * channels + i % width; };
    T sum = 0;
    for (std::int64_t i = team.place(); i < count; i += Team::size) sum += computed(x[number(i)]);
    const T middle = team.sum(sum) / static_cast<T>(count);
    T squares = 0;
    for (std::int64_t i = team.place(); i < count; i += Team::size) {
      const T apart = computed(x[number(i)]) - middle;
      squares += apart * apart;
    }
    const T variance = team.sum(squares) / static_cast<T>(count);
    const T inv = T(1) / std::sqrt(variance + static_cast<T>(group_norm_epsilon));
    if (team.place() == 0) {
      mean[row] = middle;
      inverse[row] = inv;
    }
    for (std::int64_t i = team.place(); i < count; i += Team::size) {
      const std::int64_t c = first + i % width, at = number(i);
      const T n = (computed(x[at]) - middle) * inv * scale[sample * scale_step + c] +
                  shift[sample * shift_step + c];
      T value = after_norm(f, n).value;
      if (film != nullptr) {
        const T* own = film + sample * 2 * channels + c;
        value = own[0] * value + own[channels];
      }
      store(value, y[at]);
    }
  }
};

// What both halves of the backward pass read, and what it comes to at one number.
template <class X, class Y>
struct GroupNormPlaces {
  using T = Computed<X>;
  AfterNorm f;
  const Y* gradient;
  const X* x;
  const T* mean;
  const T* inverse;
  const T* scale;
  const T* shift;
  const T* film;  // or null
  std::int64_t scale_step, shift_step, places, channels, groups;

  struct Here {
    T u, value, g, h;  // g the gradient of f's value before FiLM, h that of n
  };
  CALOR_INLINE Here here(std::int64_t sample, std::int64_t place, std::int64_t c) const {
    const std::int64_t at = (sample * places + place) * channels + c;
    const std::int64_t row = sample * groups + c / (channels / groups);
    const T u = (computed(x[at]) - mean[row]) * inverse[row];
    const auto both =
        after_norm(f, u * scale[sample * scale_step + c] + shift[sample * shift_step + c]);
    const T g = computed(gradient[at]);
    const T through = film == nullptr ? g : g * film[sample * 2 * channels + c];
    return {u, both.value, g, through * both.slope};
  }
};

template <class X, class Y>
struct GroupNormSums {
  using Number = Computed<X>;
  static constexpr int sums = 4;
  GroupNormPlaces<X, Y> all;
  Number* dscale;
  Number* dshift;
  Number* dfilm;  // or null

  CALOR_INLINE void add(std::int64_t sample, std::int64_t place, std::int64_t c,
                        Number (&sum)[4]) const {
    const auto here = all.here(sample, place, c);
    sum[0] += here.h * here.u;
    sum[1] += here.h;
    sum[2] += here.g * here.value;
    sum[3] += here.g;
  }
  CALOR_INLINE void finish(std::int64_t sample, std::int64_t c, const Number (&sum)[4]) const {
    dscale[sample * all.channels + c] = sum[0];
    dshift[sample * all.channels + c] = sum[1];
    if (dfilm == nullptr) return;
    dfilm[2 * sample * all.channels + c] = sum[2];
    dfilm[(2 * sample + 1) * all.channels + c] = sum[3];
  }
};

template <class X, class Y>
struct GroupNormBackward {
  using T = Computed<X>;
  GroupNormPlaces<X, Y> all;
  const T* dscale;
  const T* dshift;
  X* dx;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const std::int64_t sample = row / all.groups, width = all.channels / all.groups;
    const std::int64_t first = (row - sample * all.groups) * width, count = all.places * width;
    const T* scale = all.scale + sample * all.scale_step;
    T one = 0, along = 0;
    for (std::int64_t c = first + team.place(); c < first + width; c += Team::size) {
      one += dshift[sample * all.channels + c] * scale[c];
      along += dscale[sample * all.channels + c] * scale[c];
    }
    one = team.sum(one) / static_cast<T>(count);
    along = team.sum(along) / static_cast<T>(count);
    for (std::int64_t i = team.place(); i < count; i += Team::size) {
      const std::int64_t place = i / width, c = first + i % width;
      const auto here = all.here(sample, place, c);
      store((here.h * scale[c] - one - here.u * along) * all.inverse[row],
            dx[(sample * all.places + place) * all.channels + c]);
    }
  }
};

}  // namespace calor::net::kernels::gpu
