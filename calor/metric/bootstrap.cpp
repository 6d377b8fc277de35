#include "calor/metric/bootstrap.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <span>
#include <vector>

#include "calor/core/error.h"

namespace calor::metric {
namespace {

at::Tensor drawn_rows(std::int64_t n, RandomKey key) {
  at::Tensor uniform = at::empty({n}, at::kDouble);
  fill_uniform(key, std::span(uniform.data_ptr<double>(), static_cast<std::size_t>(n)));
  return uniform.mul_(static_cast<double>(n)).to(at::kLong).clamp_max_(n - 1);
}

}  // namespace

double bootstrap_standard_error(std::int64_t n, RandomKey key,
                                const std::function<double(const at::Tensor&)>& statistic,
                                std::int64_t resamples) {
  if (n < 1 || resamples < 2) {
    throw Error("one row or more, and two resamples or more",
                fmt::format("{} rows, {} resamples", n, resamples), "100 resamples are usual");
  }
  std::vector<double> values;
  for (std::int64_t i = 0; i < resamples; ++i) {
    values.push_back(statistic(drawn_rows(n, key.child(static_cast<std::uint64_t>(i)))));
  }
  return at::tensor(values, at::kDouble).std().item<double>();
}

}  // namespace calor::metric
