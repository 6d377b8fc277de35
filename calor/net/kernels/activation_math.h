// Each activation's value and slope as straight-line arithmetic that a compiler vectorises. In fp32
// the exponential is a polynomial of relative error below 2e-7; fp64 calls the standard library.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "calor/net/kernels/clones.h"

namespace calor::net::kernels {

template <class T>
CALOR_INLINE T larger(T a, T b) {
  return a < b ? b : a;  // a NaN in `a` stays
}
template <class T>
CALOR_INLINE T smaller(T a, T b) {
  return b < a ? b : a;
}

// x = n ln 2 + r with |r| <= ln(2)/2; exp(x) = 2^n (1 + p), p = exp(r) - 1 by its Taylor series.
struct SplitExp {
  float power, p;
};
CALOR_INLINE SplitExp split_exp(float x) {
  const float bounded = smaller(larger(x, -87.0F), 88.0F);
  const float shifted = bounded * std::numbers::log2e_v<float> + 12582912.0F;  // 1.5 2^23: rounds
  const float n = shifted - 12582912.0F;
  // ln 2 in two parts, the first of few bits, so that n times it is exact.
  const float r = (bounded - n * 0.693359375F) - n * -2.12194440e-4F;
  float q = 1.0F / 5040;
  q = q * r + 1.0F / 720;
  q = q * r + 1.0F / 120;
  q = q * r + 1.0F / 24;
  q = q * r + 1.0F / 6;
  q = q * r + 0.5F;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U;
  return {std::bit_cast<float>(exponent), r + r * r * q};
}

CALOR_INLINE float exp_of(float x) {
  const SplitExp e = split_exp(x);
  return e.power * e.p + e.power;
}
CALOR_INLINE float expm1_of(float x) {
  const SplitExp e = split_exp(x);
  return e.power * e.p + (e.power - 1);
}
// ln(1 + u) for u in [0, 1], as 2 artanh(u / (2 + u)).
CALOR_INLINE float log1p_of(float u) {
  const float s = u / (2 + u);
  const float s2 = s * s;
  float q = 1.0F / 15;
  q = q * s2 + 1.0F / 13;
  q = q * s2 + 1.0F / 11;
  q = q * s2 + 1.0F / 9;
  q = q * s2 + 1.0F / 7;
  q = q * s2 + 1.0F / 5;
  q = q * s2 + 1.0F / 3;
  return 2 * (s + s * s2 * q);
}
CALOR_INLINE double exp_of(double x) { return std::exp(x); }
CALOR_INLINE double expm1_of(double x) { return std::expm1(x); }
CALOR_INLINE double log1p_of(double x) { return std::log1p(x); }

template <class T>
struct ValueSlope {
  T value, slope;
};

struct Relu {
  static constexpr bool from_value = true;
  template <class T>
  CALOR_INLINE static T value(T a) {
    return a < T(0) ? T(0) : a;
  }
  template <class T>
  CALOR_INLINE static T slope_at(T y) {
    return y > T(0) ? T(1) : T(0);
  }
};

struct Elu {
  static constexpr bool from_value = true;
  template <class T>
  CALOR_INLINE static T value(T a) {
    const T below = expm1_of(smaller(a, T(0)));
    return a > T(0) ? a : below;
  }
  template <class T>
  CALOR_INLINE static T slope_at(T y) {
    return y > T(0) ? T(1) : y + T(1);
  }
};

// y = max(a, 0) + ln(1 + exp(-20 |a|)) / 20, so nothing overflows; y' = 1 - exp(-20 y).
struct Softplus20 {
  static constexpr bool from_value = true;
  template <class T>
  CALOR_INLINE static T value(T a) {
    const T magnitude = a < T(0) ? -a : a;
    return larger(a, T(0)) + log1p_of(exp_of(T(-20) * magnitude)) / T(20);
  }
  template <class T>
  CALOR_INLINE static T slope_at(T y) {
    return -expm1_of(T(-20) * y);
  }
};

struct Tanh {
  static constexpr bool from_value = true;
  template <class T>
  CALOR_INLINE static T value(T a) {
    if constexpr (sizeof(T) == sizeof(double)) return std::tanh(a);
    const T e = expm1_of(T(-2) * (a < T(0) ? -a : a));
    const T size = -e / (T(2) + e);
    return a < T(0) ? -size : size;
  }
  template <class T>
  CALOR_INLINE static T slope_at(T y) {
    return T(1) - y * y;
  }
};

struct Silu {
  static constexpr bool from_value = false;
  template <class T>
  CALOR_INLINE static ValueSlope<T> both(T a) {
    const T e = smaller(exp_of(-a), T(1e30));  // where a s is nothing, and e s stays finite
    const T s = T(1) / (T(1) + e);
    return {a * s, s * (T(1) + a * (e * s))};  // e s = 1 - s without cancellation
  }
};

struct Gelu {
  static constexpr bool from_value = false;
  template <class T>
  CALOR_INLINE static ValueSlope<T> both(T a) {
    const T bell = exp_of(T(-0.5) * a * a);
    const T below = distribution(a, bell);
    const T density = bell * std::numbers::inv_sqrtpi_v<T> * (std::numbers::sqrt2_v<T> / 2);
    return {a * below, below + a * density};
  }
  CALOR_INLINE static double distribution(double a, double /*bell*/) {
    return 0.5 * std::erfc(-a * std::numbers::sqrt2 / 2);
  }
  // Abramowitz and Stegun 7.1.26: erfc to 1.5e-7.
  CALOR_INLINE static float distribution(float a, float bell) {
    const float x = (a < 0 ? -a : a) * (std::numbers::sqrt2_v<float> / 2);
    const float t = 1 / (1 + 0.3275911F * x);
    float q = 1.061405429F;
    q = q * t - 1.453152027F;
    q = q * t + 1.421413741F;
    q = q * t - 0.284496736F;
    q = q * t + 0.254829592F;
    const float tail = 0.5F * q * t * bell;
    return a < 0 ? tail : 1 - tail;
  }
};

// With w = e^2 + 2 e, e = exp(n): tanh(ln(1 + e)) = w / (w + 2), no cancellation anywhere. Beyond
// 20 both are 1 in fp64, and e stays finite in fp32.
struct Mish {
  static constexpr bool from_value = false;
  template <class T>
  CALOR_INLINE static ValueSlope<T> both(T n) {
    const T e = exp_of(smaller(n, T(20)));
    const T w = e * (e + T(2));
    const T tanh = w / (w + T(2));
    const T rest = T(4) * (w + T(1)) / ((w + T(2)) * (w + T(2)));  // 1 - tanh^2
    return {n * tanh, tanh + n * rest * (e / (e + T(1)))};
  }
};

template <class F, class T>
CALOR_INLINE ValueSlope<T> value_slope(T a) {
  if constexpr (F::from_value) {
    const T y = F::value(a);
    return {y, F::slope_at(y)};
  } else {
    return F::both(a);
  }
}

}  // namespace calor::net::kernels
