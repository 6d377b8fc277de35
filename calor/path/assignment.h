// Exact discrete optimal transport between two sets of as many points: the assignment of least
// cost, by a network simplex.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace calor::path {

// The permutation s that minimises sum_i cost[i, s(i)]; cost [n, n], any floating type, computed in
// float64. Costs are rounded to integers of 60 - log2(n) bits (52 at most) relative to the largest,
// so that the sum is within 2n such units of the least: exact to the rounding of float64. The same
// answer every time, ties included. Error where the matrix is not square or not finite.
//
// Orders of magnitude on one core, squared distances of normal points: n = 64: 0.3 ms, 128: 1 ms,
// 256: 5 ms, 512: 50 ms, 1024: 0.3 s, 2048: 2 s, 4096: 15 s; about 64 n^2 bytes.
std::vector<std::int64_t> optimal_assignment(const at::Tensor& cost);

}  // namespace calor::path
