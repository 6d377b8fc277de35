// How much of each of two sets of features lies near the other, by nearest neighbours.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::metric {

// The ball of a point has the distance to its k-th nearest other point of its own set as radius and
// includes its border.
struct NeighbourScores {
  // Kynkaanniemi et al. (2019), k = 3.
  double precision = 0;  // share of the generated inside some real ball
  double recall = 0;     // share of the real inside some generated ball
  // Naeem et al. (2020), k = 5: less moved by outliers.
  double density = 0;   // mean over the generated of the number of real balls around it, over k
  double coverage = 0;  // share of the real whose ball holds a generated point
};

// real [n, d] and generated [m, d], more than k of each. Quote k, n and m with the scores: they
// depend on all.
NeighbourScores neighbour_scores(const at::Tensor& real, const at::Tensor& generated,
                                 std::int64_t k = 3);

}  // namespace calor::metric
