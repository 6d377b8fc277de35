#include "calor/metric/estimate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::metric {

Estimate mean_and_standard_error(const at::Tensor& values) {
  if (values.dim() != 1 || values.size(0) < 2) {
    throw Error("a list of two values or more",
                fmt::format("shape [{}]", fmt::join(values.sizes(), ", ")),
                "a standard error needs repeated measurements");
  }
  const at::Tensor ours = values.detach().to(at::kCPU, at::kDouble);
  const auto n = static_cast<double>(ours.size(0));
  return {.mean = ours.mean().item<double>(),
          .standard_error = std::sqrt(ours.var(0, true).item<double>() / n),
          .count = ours.size(0)};
}

Estimate paired_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    throw Error(
        "as many values of one as of the other",
        fmt::format("shapes [{}] and [{}]", fmt::join(a.sizes(), ", "), fmt::join(b.sizes(), ", ")),
        "measure both on the same cases, in the same order");
  }
  return mean_and_standard_error(a.to(at::kDouble) - b.to(at::kDouble));
}

}  // namespace calor::metric
