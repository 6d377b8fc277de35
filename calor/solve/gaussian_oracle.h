// The oracle of samplers: pictures whose DCT coefficients are independent Gaussians of known
// variance. The best denoiser is then linear per frequency, so the law at the end of any linear
// sampler follows exactly from one run that starts with standard deviation 1 in every coefficient.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "calor/path/picture_space.h"
#include "calor/solve/sampler.h"

namespace calor::solve {

class GaussianOracle {
 public:
  // Pictures of `side` pixels in about [-1, 1]: C = 0.0625 side^2 / (1 + i^2 + j^2). float64.
  GaussianOracle(std::shared_ptr<const path::SpectralPath> path, std::int64_t side);

  struct Result {
    double relative_w2 = 0;  // squared W2 distance to the path's law at the end, over its variance
    std::int64_t nfe = 0;
    at::Tensor deviation;  // of each coefficient at the end, [H, W]
  };
  // From the exact law at grid.front() to grid.back(). The paper's samplers are not linear (their
  // blend depends on the state): for them the result is that of this one start.
  Result run(const std::vector<double>& grid, const SolverOptions& options) const;

  // E[X | Z] = A C / (A^2 C + S^2) Z, per frequency.
  at::Tensor denoise(const at::Tensor& z, double t) const;
  // The standard deviation of each coefficient on the path at time t, [H, W].
  at::Tensor deviation(double t) const;

  const path::PictureSpace& space() const { return space_; }
  const at::Tensor& variance() const { return variance_; }

 private:
  struct Schedules {
    at::Tensor a, s;
  };
  Schedules schedules(double t) const;

  path::PictureSpace space_;
  at::Tensor variance_;  // C, [H, W]
};

}  // namespace calor::solve
