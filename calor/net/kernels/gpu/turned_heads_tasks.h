// turned_heads' work on a GPU. A row is all heads of one token, of the queries or the keys or the
// values: row = 3 (sample L + token) + part, as the product qkv has them.
#pragma once

#include <cstdint>

#include "calor/net/kernels/inverse_root.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

// Where a row's numbers are in the tensors whose heads are apart, [N, heads, L, d].
struct HeadSizes {
  std::int64_t length, heads, width;  // width: of a head

  CALOR_INLINE std::int64_t row() const { return heads * width; }
  CALOR_INLINE std::int64_t apart() const { return length * width; }  // from a head to the next

  struct Place {
    std::int64_t part, token, first;  // token: within its sample; first: its first head
  };
  CALOR_INLINE Place place(std::int64_t row) const {
    const std::int64_t token = row / 3, sample = token / length, l = token % length;
    return {row % 3, l, (sample * heads * length + l) * width};
  }
};

template <class S, class T = Computed<S>>
struct TurnedHeadsForward {
  const S* qkv;
  const T* q_weight;
  const T* k_weight;
  const T* table;  // [L, d / 2] pairs: cosine, sine
  S* q;
  S* k;
  S* v;
  T* inverse;  // for each head of queries and keys, one over the root of its mean square
  HeadSizes sizes;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const auto [part, token, first] = sizes.place(row);
    const std::int64_t width = sizes.width;
    const T* w = part == 0 ? q_weight : k_weight;
    const T* turn = table + token * width;
    S* const outs[] = {q, k, v};
    for (std::int64_t head = 0; head < sizes.heads; ++head) {
      const S* in = qkv + (row * sizes.heads + head) * width;
      S* out = outs[part] + first + head * sizes.apart();
      if (part == 2) {
        for (std::int64_t j = team.place(); j < width; j += Team::size) out[j] = in[j];
        continue;
      }
      T squares = 0;
      for (std::int64_t j = team.place(); j < width; j += Team::size) {
        squares += computed(in[j]) * computed(in[j]);
      }
      const T r = inverse_root(team.sum(squares), width);
      if (team.place() == 0) inverse[row * sizes.heads + head] = r;
      for (std::int64_t j = 2 * team.place(); j < width; j += 2 * Team::size) {
        const T a = computed(in[j]) * r * w[j], b = computed(in[j + 1]) * r * w[j + 1];
        store(a * turn[j] - b * turn[j + 1], out[j]);
        store(a * turn[j + 1] + b * turn[j], out[j + 1]);
      }
    }
  }
};

// A pair's gradient, turned back.
template <class S, class T = Computed<S>>
struct TurnedBack {
  T first, second;
  CALOR_INLINE TurnedBack(const S* gradient, const T* turn)
      : first(computed(gradient[0]) * turn[0] + computed(gradient[1]) * turn[1]),
        second(computed(gradient[1]) * turn[0] - computed(gradient[0]) * turn[1]) {}
};

// With h the gradient turned back, u = x r the normalised numbers and m = h weight:
// dx = r (m - u mean(m u)), and the token's part of dweight = sum h u over its heads.
template <class S, class T = Computed<S>>
struct TurnedHeadsBackward {
  const S* dq;
  const S* dk;
  const S* dv;
  const S* qkv;
  const T* q_weight;
  const T* k_weight;
  const T* table;
  const T* inverse;
  S* dqkv;
  T* dweight;  // [N L, 2, d]: of each token, queries' and keys'
  HeadSizes sizes;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const auto [part, token, first] = sizes.place(row);
    const std::int64_t width = sizes.width, begin = row * sizes.heads * width;
    const S* const gradients[] = {dq, dk, dv};
    const S* g = gradients[part] + first;
    if (part == 2) {
      for (std::int64_t head = 0; head < sizes.heads; ++head) {
        const S* from = g + head * sizes.apart();
        S* to = dqkv + begin + head * width;
        for (std::int64_t j = team.place(); j < width; j += Team::size) to[j] = from[j];
      }
      return;
    }
    const T* w = part == 0 ? q_weight : k_weight;
    const T* turn = table + token * width;
    const T* r = inverse + row * sizes.heads;
    for (std::int64_t head = 0; head < sizes.heads; ++head) {
      back_through(team, g + head * sizes.apart(), qkv + begin + head * width, w, turn, r[head],
                   dqkv + begin + head * width);
    }
    T* sums = dweight + (row / 3 * 2 + part) * width;
    for (std::int64_t j = 2 * team.place(); j < width; j += 2 * Team::size) {
      T one = 0, two = 0;
      for (std::int64_t head = 0; head < sizes.heads; ++head) {
        const S* x = qkv + begin + head * width + j;
        const TurnedBack<S> h(g + head * sizes.apart() + j, turn + j);
        one += h.first * computed(x[0]) * r[head];
        two += h.second * computed(x[1]) * r[head];
      }
      sums[j] = one;
      sums[j + 1] = two;
    }
  }

 private:
  // One head.
  template <class Team>
  CALOR_INLINE void back_through(Team team, const S* g, const S* x, const T* w, const T* turn, T r,
                                 S* dx) const {
    T dot = 0;
    for (std::int64_t j = 2 * team.place(); j < sizes.width; j += 2 * Team::size) {
      const TurnedBack<S> h(g + j, turn + j);
      dot += h.first * w[j] * computed(x[j]) + h.second * w[j + 1] * computed(x[j + 1]);
    }
    const T share = team.sum(dot) * r * r / static_cast<T>(sizes.width);
    for (std::int64_t j = 2 * team.place(); j < sizes.width; j += 2 * Team::size) {
      const TurnedBack<S> h(g + j, turn + j);
      store(r * (h.first * w[j] - computed(x[j]) * share), dx[j]);
      store(r * (h.second * w[j + 1] - computed(x[j + 1]) * share), dx[j + 1]);
    }
  }
};

}  // namespace calor::net::kernels::gpu
