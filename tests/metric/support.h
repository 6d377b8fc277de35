// Samples for tests of distances, and the reference file of two sets and their distances.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "calor/core/random.h"
#include "calor/io/npy.h"
#include "calor/metric/samples.h"
#include "tests/support/golden.h"

namespace calor::metric {

// Standard normal float64.
inline at::Tensor normal(std::uint64_t seed, at::IntArrayRef shape) {
  return normal_tensor(random_key(seed, RandomUse::test), shape);
}

inline RandomKey test_key(std::uint64_t seed = 1) { return random_key(seed, RandomUse::test); }

}  // namespace calor::metric

#define CALOR_GOLDEN_METRICS(variable)                                        \
  const auto variable##_path = calor::test::golden_path("metrics.npz");       \
  if (variable##_path.empty()) GTEST_SKIP() << "no golden/metrics.npz found"; \
  const auto variable = calor::io::read_npz(variable##_path)
