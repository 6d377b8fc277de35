#include "calor/metric/wasserstein.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/metric/estimate.h"
#include "calor/metric/samples.h"
#include "calor/path/assignment.h"

namespace calor::metric {
namespace {

void check_order(int p) {
  if (p != 1 && p != 2) {
    throw Error("the order of a Wasserstein distance: 1 or 2", fmt::format("{}", p),
                "give p = 1 or p = 2");
  }
}

// The common refinement of the steps of two quantile functions, of n and of m equal steps: on
// segment s of width w_s one is at its i_s-th value and the other at its j_s-th.
struct Segments {
  at::Tensor i, j, width;
};

Segments common_segments(std::int64_t n, std::int64_t m) {
  std::vector<std::int64_t> i_of;
  std::vector<std::int64_t> j_of;
  std::vector<double> width;
  const double unit = 1 / (static_cast<double>(n) * static_cast<double>(m));
  std::int64_t position = 0;  // in units of 1/(n m)
  for (std::int64_t i = 0, j = 0; i < n && j < m;) {
    const std::int64_t end = std::min((i + 1) * m, (j + 1) * n);
    i_of.push_back(i);
    j_of.push_back(j);
    width.push_back(static_cast<double>(end - position) * unit);
    position = end;
    if (position == (i + 1) * m) ++i;
    if (position == (j + 1) * n) ++j;
  }
  return {.i = at::tensor(i_of, at::kLong),
          .j = at::tensor(j_of, at::kLong),
          .width = at::tensor(width, at::kDouble)};
}

// W_p^p for each row of a [k, n] and b [k, m]: [k].
at::Tensor powers_by_row(const at::Tensor& a, const at::Tensor& b, const Segments& segments,
                         double p) {
  const at::Tensor x = std::get<0>(a.sort(1));
  const at::Tensor y = std::get<0>(b.sort(1));
  if (x.size(1) == y.size(1)) return (x - y).abs_().pow_(p).mean(1);
  const at::Tensor gaps = x.index_select(1, segments.i) - y.index_select(1, segments.j);
  return gaps.abs_().pow_(p).mul_(segments.width).sum(1);
}

}  // namespace

ExactWasserstein exact_wasserstein(const at::Tensor& a, const at::Tensor& b, int p, RandomKey key,
                                   std::int64_t limit) {
  check_order(p);
  if (limit < 1)
    throw Error("a limit of 1 or more", fmt::format("{}", limit), "2048 takes seconds");
  SamplePair set = as_sample_pair(a, b);
  const std::int64_t count = std::min({set.a.size(0), set.b.size(0), limit});
  const bool subsampled = count < std::max(set.a.size(0), set.b.size(0));
  if (count < set.a.size(0)) set.a = random_rows(set.a, count, key.child(0));
  if (count < set.b.size(0)) set.b = random_rows(set.b, count, key.child(1));
  const at::Tensor cost = euclidean_distances(set.a, set.b).pow_(p);
  const at::Tensor partner = at::tensor(path::optimal_assignment(cost), at::kLong);
  const auto power = cost.gather(1, partner.unsqueeze(1)).mean().item<double>();
  return {.distance = std::pow(power, 1.0 / p),
          .power = power,
          .count = count,
          .subsampled = subsampled};
}

double wasserstein_1d_power(const at::Tensor& a, const at::Tensor& b, double p) {
  if (a.dim() != 1 || b.dim() != 1 || !(p >= 1)) {
    throw Error("two lists of numbers and an order of 1 or more",
                fmt::format("{} and {} dimensions, order {}", a.dim(), b.dim(), p),
                "compare one column at a time");
  }
  const SamplePair set = as_sample_pair(a.unsqueeze(1), b.unsqueeze(1));
  return powers_by_row(set.a.t(), set.b.t(), common_segments(set.a.size(0), set.b.size(0)), p)
      .item<double>();
}

SlicedWasserstein sliced_wasserstein(const at::Tensor& a, const at::Tensor& b, int p, RandomKey key,
                                     std::int64_t directions) {
  check_order(p);
  if (directions < 2) {
    throw Error("two directions or more", fmt::format("{}", directions), "500 is usual");
  }
  const SamplePair set = as_sample_pair(a, b);
  at::Tensor units = normal_tensor(key, {directions, set.a.size(1)});
  units /= units.norm(2, {1}, true);
  const auto segments = common_segments(set.a.size(0), set.b.size(0));
  std::vector<at::Tensor> powers;
  for_each_part(units, 4 * (set.a.size(0) + set.b.size(0)),
                [&](const at::Tensor& part, std::int64_t) {
                  powers.push_back(
                      powers_by_row(at::mm(part, set.a.t()), at::mm(part, set.b.t()), segments, p));
                });
  const Estimate mean = mean_and_standard_error(at::cat(powers));
  return {.distance = std::pow(mean.mean, 1.0 / p),
          .power = mean.mean,
          .standard_error = mean.standard_error};
}

}  // namespace calor::metric
