#include "calor/metric/neighbours.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

// The distance of each point to its k-th nearest other: [n].
at::Tensor radii(const at::Tensor& points, std::int64_t k) {
  std::vector<at::Tensor> found;
  for_each_part(points, points.size(0), [&](const at::Tensor& part, std::int64_t start) {
    at::Tensor distances = euclidean_distances(part, points);
    distances.diagonal(start).fill_(INFINITY);  // not a neighbour of itself
    found.push_back(std::get<0>(distances.kthvalue(k, 1)));
  });
  return at::cat(found);
}

double share(const at::Tensor& yes) { return yes.to(at::kDouble).mean().item<double>(); }

}  // namespace

NeighbourScores neighbour_scores(const at::Tensor& real, const at::Tensor& generated,
                                 std::int64_t k) {
  if (k < 1) throw Error("one neighbour or more", fmt::format("k = {}", k), "3 is usual");
  const SamplePair set = as_sample_pair(real, generated, k + 1);
  const at::Tensor real_radii = radii(set.a, k);
  const at::Tensor generated_radii = radii(set.b, k);
  at::Tensor real_balls_around = at::zeros({set.b.size(0)}, at::kLong);
  std::vector<at::Tensor> recalled;
  std::vector<at::Tensor> covered;
  for_each_part(set.a, set.b.size(0), [&](const at::Tensor& part, std::int64_t start) {
    const at::Tensor distances = euclidean_distances(part, set.b);
    const at::Tensor radius = real_radii.slice(0, start, start + part.size(0));
    const at::Tensor in_real_ball = distances.le(radius.unsqueeze(1));
    real_balls_around += in_real_ball.sum(0);
    covered.push_back(in_real_ball.any(1));
    recalled.push_back(distances.le(generated_radii).any(1));
  });
  return {
      .precision = share(real_balls_around.gt(0)),
      .recall = share(at::cat(recalled)),
      .density = real_balls_around.to(at::kDouble).mean().item<double>() / static_cast<double>(k),
      .coverage = share(at::cat(covered))};
}

}  // namespace calor::metric
