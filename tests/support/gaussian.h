// The oracle: pictures with independent Gaussian DCT coefficients of known variances. The best
// denoiser is linear per frequency, so the law at the end of any linear sampler is known exactly from
// one run: start with standard deviation 1 in every coefficient and read off the gains.
#pragma once

#include <ATen/ATen.h>

#include <cmath>

#include "calor/path/picture_space.h"
#include "calor/solve/sampler.h"

namespace calor::test {

struct GaussianOracle {
  path::PictureSpace space;
  at::Tensor variance;  // C(lambda), [H, W], float64

  // C ~ 1/(1 + i^2 + j^2), scaled to pictures in [-1, 1]: 0.0625 side^2 / (1 + i^2 + j^2).
  GaussianOracle(std::shared_ptr<const path::SpectralPath> path, std::int64_t side)
      : space(std::move(path), side, side, at::kDouble, at::kCPU) {
    const at::Tensor i = at::arange(side, at::kDouble).square();
    variance = 0.0625 * static_cast<double>(side * side) / (1 + i.unsqueeze(1) + i.unsqueeze(0));
  }

  at::Tensor schedule(at::Tensor (path::SpectralPath::*f)(const at::Tensor&, const at::Tensor&) const,
                      double t) const {
    return ((*space.path).*f)(at::full({1, 1}, t, at::kDouble), space.lambda).exp();
  }

  // E[X | Z] = A C / (A^2 C + S^2) Z.
  solve::Denoise denoiser() const {
    return [this](const at::Tensor& z, double t) {
      const at::Tensor a = schedule(&path::SpectralPath::log_a, t);
      const at::Tensor s = schedule(&path::SpectralPath::log_s, t);
      return space.multiply(a * variance / (a.square() * variance + s.square()), z);
    };
  }

  // The standard deviation of each coefficient on the path at time t.
  at::Tensor deviation(double t) const {
    const at::Tensor a = schedule(&path::SpectralPath::log_a, t);
    const at::Tensor s = schedule(&path::SpectralPath::log_s, t);
    return (a.square() * variance + s.square()).sqrt();
  }

  struct Result {
    double relative_w2;  // squared W2 distance to the path's law at the end, over its total variance
    std::int64_t nfe;
    at::Tensor gain;     // end standard deviation per coefficient
  };
  // Starts from the exact law at grid.front() and compares with the exact law at grid.back().
  Result run(const std::vector<double>& grid, const solve::SolverOptions& options) const {
    const at::Tensor start =
        space.dct.inverse(deviation(grid.front())).unsqueeze(0).unsqueeze(0);
    const auto solution = solve::sample(space, denoiser(), start, grid, options);
    const at::Tensor end = space.dct.forward(solution.sample)[0][0].abs();
    const at::Tensor exact = deviation(grid.back());
    return {((end - exact).square().sum() / exact.square().sum()).item<double>(), solution.nfe, end};
  }
};

}  // namespace calor::test
