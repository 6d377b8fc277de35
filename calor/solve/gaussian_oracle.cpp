#include "calor/solve/gaussian_oracle.h"

#include <ATen/ATen.h>

namespace calor::solve {

GaussianOracle::GaussianOracle(std::shared_ptr<const path::SpectralPath> path, std::int64_t side)
    : space_(std::move(path), side, side, at::kDouble, at::kCPU) {
  const at::Tensor i = at::arange(side, at::kDouble).square();
  variance_ = 0.0625 * static_cast<double>(side * side) / (1 + i.unsqueeze(1) + i.unsqueeze(0));
}

GaussianOracle::Schedules GaussianOracle::schedules(double t) const {
  const at::Tensor time = at::full({1, 1}, t, at::kDouble);
  return {.a = space_.path->log_a(time, space_.lambda).exp(),
          .s = space_.path->log_s(time, space_.lambda).exp()};
}

at::Tensor GaussianOracle::denoise(const at::Tensor& z, double t) const {
  const auto [a, s] = schedules(t);
  const at::Tensor gain = a * variance_ / (a.square() * variance_ + s.square());
  return space_.dct.inverse(gain * space_.dct.forward(z));
}

at::Tensor GaussianOracle::deviation(double t) const {
  const auto [a, s] = schedules(t);
  return (a.square() * variance_ + s.square()).sqrt();
}

GaussianOracle::Result GaussianOracle::run(const std::vector<double>& grid,
                                           const SolverOptions& options) const {
  const at::Tensor start = space_.dct.inverse(deviation(grid.front())).unsqueeze(0).unsqueeze(0);
  const Denoise best = [this](const at::Tensor& z, double t) { return denoise(z, t); };
  const Solution solution = sample(space_, best, start, grid, options);
  const at::Tensor end = space_.dct.forward(solution.sample)[0][0].abs();
  const at::Tensor exact = deviation(grid.back());
  return {.relative_w2 = ((end - exact).square().sum() / exact.square().sum()).item<double>(),
          .nfe = solution.nfe,
          .deviation = end};
}

}  // namespace calor::solve
