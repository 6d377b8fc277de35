#include "calor/metric/energy.h"

#include <ATen/ATen.h>

#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

double sum_of_distances(const at::Tensor& x, const at::Tensor& y) {
  double sum = 0;
  for_each_part(x, y.size(0), [&](const at::Tensor& part, std::int64_t) {
    sum += euclidean_distances(part, y).sum().item<double>();
  });
  return sum;
}

// The diagonal is 0 but for rounding, which is left out.
double sum_of_distances_within(const at::Tensor& x) {
  double sum = 0;
  for_each_part(x, x.size(0), [&](const at::Tensor& part, std::int64_t start) {
    at::Tensor distances = euclidean_distances(part, x);
    distances.diagonal(start).zero_();
    sum += distances.sum().item<double>();
  });
  return sum;
}

}  // namespace

EnergyDistance energy_distance(const at::Tensor& a, const at::Tensor& b) {
  const SamplePair set = as_sample_pair(a, b, 2);
  const auto n = static_cast<double>(set.a.size(0));
  const auto m = static_cast<double>(set.b.size(0));
  const double across = 2 * sum_of_distances(set.a, set.b) / (n * m);
  const double within_a = sum_of_distances_within(set.a);
  const double within_b = sum_of_distances_within(set.b);
  return {.v = across - within_a / (n * n) - within_b / (m * m),
          .u = across - within_a / (n * (n - 1)) - within_b / (m * (m - 1))};
}

}  // namespace calor::metric
