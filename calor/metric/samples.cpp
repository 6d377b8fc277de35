#include "calor/metric/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calor/core/error.h"

namespace calor::metric {

at::Tensor as_samples(const at::Tensor& x, const std::string& name, std::int64_t least) {
  const bool matrix = x.dim() == 2 && x.is_floating_point();
  if (!matrix || x.size(0) < least || x.size(1) < 1) {
    throw Error(
        fmt::format("{}: {} samples or more as rows of floating-point numbers", name, least),
        fmt::format("{} of shape [{}]", c10::toString(x.scalar_type()), fmt::join(x.sizes(), ", ")),
        "give one row for each sample, one column for each feature");
  }
  at::Tensor ours = x.detach().to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor finite = at::isfinite(ours).all(1);
  if (!finite.all().item<bool>()) {
    throw Error(fmt::format("{}: finite numbers", name),
                fmt::format("row {} holds one that is not",
                            finite.logical_not().to(at::kByte).argmax().item<std::int64_t>()),
                "leave such rows out, or find where they come from");
  }
  return ours;
}

SamplePair as_sample_pair(const at::Tensor& a, const at::Tensor& b, std::int64_t least) {
  SamplePair pair{.a = as_samples(a, "first set", least), .b = as_samples(b, "second set", least)};
  if (pair.a.size(1) != pair.b.size(1)) {
    throw Error("two sets of samples with the same features",
                fmt::format("{} and {} features", pair.a.size(1), pair.b.size(1)),
                "compare samples of the same law");
  }
  return pair;
}

at::Tensor euclidean_distances(const at::Tensor& a, const at::Tensor& b) {
  constexpr std::int64_t by_subtraction = 2;
  constexpr std::int64_t wide = 24;
  if (a.size(1) <= wide) return at::cdist(a, b, 2, by_subtraction);
  const at::Tensor centre = b.mean(0);
  const at::Tensor x = a - centre;
  const at::Tensor y = b - centre;
  at::Tensor squared = at::addmm(y.square().sum(1), x, y.t(), 1, -2);
  return squared.add_(x.square().sum(1, true)).clamp_min_(0).sqrt_();
}

void for_each_part(const at::Tensor& x, std::int64_t columns,
                   const std::function<void(const at::Tensor&, std::int64_t)>& work) {
  constexpr std::int64_t values = std::int64_t{1} << 19;
  const std::int64_t rows = std::max<std::int64_t>(1, values / std::max<std::int64_t>(1, columns));
  for (std::int64_t start = 0; start < x.size(0); start += rows) {
    work(x.slice(0, start, std::min(x.size(0), start + rows)), start);
  }
}

at::Tensor random_rows(const at::Tensor& x, std::int64_t count, RandomKey key) {
  auto order = random_permutation(key, x.size(0));
  if (count < x.size(0)) order.resize(static_cast<std::size_t>(count));
  return x.index_select(0, at::tensor(order, at::kLong));
}

at::Tensor normal_tensor(RandomKey key, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(key, std::span(out.data_ptr<double>(), static_cast<std::size_t>(out.numel())));
  return out;
}

}  // namespace calor::metric
