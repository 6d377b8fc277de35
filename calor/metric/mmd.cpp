#include "calor/metric/mmd.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

using Kernel = std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>;

at::Tensor polynomial(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor base = at::mm(x, y.t()).div_(x.size(1)).add_(1);
  return base.square().mul_(base);
}

double kernel_sum(const Kernel& kernel, const at::Tensor& x, const at::Tensor& y) {
  double sum = 0;
  for_each_part(x, y.size(0), [&](const at::Tensor& part, std::int64_t) {
    sum += kernel(part, y).sum().item<double>();
  });
  return sum;
}

// sum over i != j of k(x_i, x_j) / (n (n - 1))
double mean_of_others(const Kernel& kernel, const at::Tensor& x) {
  double sum = 0;
  for_each_part(x, x.size(0), [&](const at::Tensor& part, std::int64_t start) {
    const at::Tensor values = kernel(part, x);
    sum += (values.sum() - values.diagonal(start).sum()).item<double>();
  });
  const auto n = static_cast<double>(x.size(0));
  return sum / (n * (n - 1));
}

double unbiased(const Kernel& kernel, const SamplePair& set) {
  const double pairs = static_cast<double>(set.a.size(0)) * static_cast<double>(set.b.size(0));
  return mean_of_others(kernel, set.a) + mean_of_others(kernel, set.b) -
         2 * kernel_sum(kernel, set.a, set.b) / pairs;
}

}  // namespace

double mmd2_polynomial(const at::Tensor& a, const at::Tensor& b) {
  return unbiased(polynomial, as_sample_pair(a, b, 2));
}

double mmd2_gaussian(const at::Tensor& a, const at::Tensor& b, double bandwidth) {
  if (!(bandwidth > 0)) {
    throw Error("a bandwidth above 0", fmt::format("{}", bandwidth),
                "take median_distance() where nothing better is known");
  }
  const double factor = -0.5 / (bandwidth * bandwidth);
  const Kernel gaussian = [factor](const at::Tensor& x, const at::Tensor& y) {
    return euclidean_distances(x, y).square_().mul_(factor).exp_();
  };
  return unbiased(gaussian, as_sample_pair(a, b, 2));
}

double median_distance(const at::Tensor& a, const at::Tensor& b, RandomKey key) {
  constexpr std::int64_t most = 1000;
  const SamplePair set = as_sample_pair(a, b);
  const at::Tensor rows =
      at::cat({random_rows(set.a, most, key.child(0)), random_rows(set.b, most, key.child(1))});
  return at::pdist(rows).median().item<double>();
}

Estimate kernel_distance(const at::Tensor& a, const at::Tensor& b, RandomKey key,
                         std::int64_t subsets, std::int64_t subset_size) {
  const SamplePair set = as_sample_pair(a, b, 2);
  if (subsets < 2 || subset_size < 2) {
    throw Error("two subsets or more, of two samples or more",
                fmt::format("{} of {}", subsets, subset_size), "100 of 1000 is usual");
  }
  std::vector<double> values;
  for (std::int64_t i = 0; i < subsets; ++i) {
    const RandomKey ours = key.child(static_cast<std::uint64_t>(i));
    values.push_back(unbiased(polynomial, {.a = random_rows(set.a, subset_size, ours.child(0)),
                                           .b = random_rows(set.b, subset_size, ours.child(1))}));
  }
  return mean_and_standard_error(at::tensor(values, at::kDouble));
}

}  // namespace calor::metric
