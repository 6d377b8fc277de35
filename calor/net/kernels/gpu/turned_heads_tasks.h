// turned_heads' work on a GPU. A row is one head of one token, of the queries or the keys or the
// values: row = (3 (sample L + token) + part) heads + head, as the product qkv has them.
#pragma once

#include <cstdint>

#include "calor/net/kernels/inverse_root.h"
#include "calor/net/kernels/stored_number.h"

namespace calor::net::kernels::gpu {

// Where a row's numbers are in the tensors whose heads are apart, [N, heads, L, d].
struct HeadSizes {
  std::int64_t length, heads, width;  // width: of a head

  CALOR_INLINE std::int64_t row() const { return heads * width; }

  struct Place {
    std::int64_t part, token, apart;
  };
  CALOR_INLINE Place place(std::int64_t row) const {
    const std::int64_t head = row % heads, part = row / heads % 3, token = row / heads / 3;
    const std::int64_t sample = token / length, l = token % length;
    return {part, l, ((sample * heads + head) * length + l) * width};
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
  T* inverse;  // for each row of queries and keys, one over the root of its mean square
  HeadSizes sizes;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const auto [part, token, apart] = sizes.place(row);
    const S* in = qkv + row * sizes.width;
    if (part == 2) {
      for (std::int64_t j = team.place(); j < sizes.width; j += Team::size) v[apart + j] = in[j];
      return;
    }
    T squares = 0;
    for (std::int64_t j = team.place(); j < sizes.width; j += Team::size) {
      squares += computed(in[j]) * computed(in[j]);
    }
    const T r = inverse_root(team.sum(squares), sizes.width);
    if (team.place() == 0) inverse[row] = r;
    const T* w = part == 0 ? q_weight : k_weight;
    const T* turn = table + token * sizes.width;
    S* out = (part == 0 ? q : k) + apart;
    for (std::int64_t j = 2 * team.place(); j < sizes.width; j += 2 * Team::size) {
      const T a = computed(in[j]) * r * w[j], b = computed(in[j + 1]) * r * w[j + 1];
      store(a * turn[j] - b * turn[j + 1], out[j]);
      store(a * turn[j + 1] + b * turn[j], out[j + 1]);
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
// dx = r (m - u mean(m u)).
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
  HeadSizes sizes;

  template <class Team>
  CALOR_INLINE void operator()(Team team, std::int64_t row) const {
    const auto [part, token, apart] = sizes.place(row);
    S* out = dqkv + row * sizes.width;
    if (part == 2) {
      for (std::int64_t j = team.place(); j < sizes.width; j += Team::size) out[j] = dv[apart + j];
      return;
    }
    const S* in = qkv + row * sizes.width;
    const S* g = (part == 0 ? dq : dk) + apart;
    const T* w = part == 0 ? q_weight : k_weight;
    const T* turn = table + token * sizes.width;
    const T r = inverse[row];
    T dot = 0;
    for (std::int64_t j = 2 * team.place(); j < sizes.width; j += 2 * Team::size) {
      const TurnedBack<S> h(g + j, turn + j);
      dot += h.first * w[j] * computed(in[j]) + h.second * w[j + 1] * computed(in[j + 1]);
    }
    const T share = team.sum(dot) * r * r / static_cast<T>(sizes.width);
    for (std::int64_t j = 2 * team.place(); j < sizes.width; j += 2 * Team::size) {
      const TurnedBack<S> h(g + j, turn + j);
      store(r * (h.first * w[j] - computed(in[j]) * share), out[j]);
      store(r * (h.second * w[j + 1] - computed(in[j + 1]) * share), out[j + 1]);
    }
  }
};

// Of one number of all heads: a sample's part of dweight = sum h u, [2 N, d]; "sample" 2 i is the
// queries of sample i, 2 i + 1 its keys, and l runs over its L heads.
template <class S, class T = Computed<S>>
struct TurnedHeadsSums {
  using Number = T;
  static constexpr int sums = 1;

  const S* dq;
  const S* dk;
  const S* qkv;
  const T* table;
  const T* inverse;
  T* dweight;
  HeadSizes sizes;

  CALOR_INLINE void add(std::int64_t sample, std::int64_t l, std::int64_t j, T (&sum)[1]) const {
    const std::int64_t part = sample % 2, token = sample / 2 * sizes.length + l / sizes.heads;
    const std::int64_t row = (3 * token + part) * sizes.heads + l % sizes.heads;
    const auto place = sizes.place(row);
    const std::int64_t pair = j / 2 * 2;
    const TurnedBack<S> h((part == 0 ? dq : dk) + place.apart + pair,
                          table + place.token * sizes.width + pair);
    const T own = j == pair ? h.first : h.second;
    sum[0] += own * computed(qkv[row * sizes.width + j]) * inverse[row];
  }
  CALOR_INLINE void finish(std::int64_t sample, std::int64_t j, const T (&sum)[1]) const {
    dweight[sample * sizes.width + j] = sum[0];
  }
};

}  // namespace calor::net::kernels::gpu
