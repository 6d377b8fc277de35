#include "calor/path/coupling.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calor/core/error.h"
#include "calor/path/assignment.h"

namespace calor::path {

void CouplingOptions::declare(config::Options& options) {
  static constexpr config::Choice<Coupling> choices[] = {
      {"independent", Coupling::independent, "noise drawn for each example alone"},
      {"optimal-transport", Coupling::optimal_transport,
       "noise paired with near examples within blocks of the batch"},
  };
  options.add("path.coupling", coupling, choices, "which noise goes with which example");
  options.add("path.coupling_block", block, {2, 4096}, "examples",
              "optimal-transport: examples that are paired with one another at a time");
}

at::Tensor couple_noise(const at::Tensor& x, const at::Tensor& noise, std::int64_t block) {
  const bool matching =
      x.dim() > 0 && noise.dim() > 0 && x.size(0) == noise.size(0) && x.numel() == noise.numel();
  if (!matching || block < 1) {
    throw Error("as many rows of noise as of examples, of one size, and blocks of one row or more",
                fmt::format("shapes [{}] and [{}], blocks of {}", fmt::join(x.sizes(), ", "),
                            fmt::join(noise.sizes(), ", "), block),
                "draw one noise for each example");
  }
  const std::int64_t n = x.size(0);
  if (n < 2) return noise;
  const std::int64_t blocks = (n + block - 1) / block;
  at::Tensor order = at::empty({n}, at::kLong);
  auto* out = order.data_ptr<std::int64_t>();
  at::parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    const c10::NoGradGuard no_grad;
    for (std::int64_t start = first * block; start < std::min(n, last * block); start += block) {
      const std::int64_t end = std::min(n, start + block);
      // |x - e|^2 = |x|^2 + |e|^2 - 2 x.e, and only the last term depends on the pairing.
      const at::Tensor cost = at::mm(x.slice(0, start, end).flatten(1).to(at::kDouble),
                                     noise.slice(0, start, end).flatten(1).to(at::kDouble).t())
                                  .neg();
      const auto assignment = optimal_assignment(cost);
      for (std::size_t i = 0; i < assignment.size(); ++i) {
        out[start + static_cast<std::int64_t>(i)] = start + assignment[i];
      }
    }
  });
  return noise.index_select(0, order.to(noise.device()));
}

}  // namespace calor::path
