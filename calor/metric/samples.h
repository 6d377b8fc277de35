// What all distances between two sets of samples share: checks, distances in pieces, random rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "calor/core/random.h"

namespace calor::metric {

// `x` as float64 on the CPU. Error, naming the set, where it is not [n, d] of floating type, has
// fewer than `least` rows or no columns, or holds a value that is not finite (names its row).
at::Tensor as_samples(const at::Tensor& x, const std::string& name, std::int64_t least = 1);

struct SamplePair {
  at::Tensor a, b;  // float64 [n, d] and [m, d]
};

// Both as_samples; Error where they differ in d.
SamplePair as_sample_pair(const at::Tensor& a, const at::Tensor& b, std::int64_t least = 1);

// Euclidean distances [n, m]. Up to 24 features by subtraction; for more by the expanded square,
// which is many times faster there and rounds squares by 1e-15 of the points' squared norms: a
// point is then up to some 1e-7 of its norm away from itself.
at::Tensor euclidean_distances(const at::Tensor& a, const at::Tensor& b);

// Calls work(part, first row) for consecutive parts of the rows of `x`, so long that a matrix of
// part by `columns` float64 takes about 4 MB, which is faster than more.
void for_each_part(const at::Tensor& x, std::int64_t columns,
                   const std::function<void(const at::Tensor&, std::int64_t)>& work);

// `count` different rows of `x` in random order, a function of the key; all of them, in that order,
// where x has no more.
at::Tensor random_rows(const at::Tensor& x, std::int64_t count, RandomKey key);

// Standard normal float64 tensor whose leading values do not depend on the rest of the shape.
at::Tensor normal_tensor(RandomKey key, at::IntArrayRef shape);

}  // namespace calor::metric
