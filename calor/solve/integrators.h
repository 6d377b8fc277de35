// One step of each sampler. The sampler owns the loop, the first evaluation of a step and the
// count.
#pragma once

#include <memory>

#include "calor/solve/sampler.h"

namespace calor::solve {

struct Step {
  std::int64_t index = 0;
  double from = 0;
  double to = 0;
  bool last = false;
};

class Integrator {
 public:
  virtual ~Integrator() = default;
  // z at step.to, from z at step.from and the clean picture predicted there.
  virtual at::Tensor advance(const at::Tensor& z, const at::Tensor& clean, const Step& step,
                             const Denoise& denoise) = 0;
};

std::unique_ptr<Integrator> paper_integrator(const path::PictureSpace& space, double t_eps,
                                             bool heun);
std::unique_ptr<Integrator> velocity_integrator(const path::PictureSpace& space, double t_eps,
                                                bool heun);
std::unique_ptr<Integrator> spectral_integrator(const path::PictureSpace& space, bool multistep);
// Error where there is no noise.
std::unique_ptr<Integrator> ancestral_integrator(const path::PictureSpace& space, StepNoise noise);
std::unique_ptr<Integrator> ihdm_integrator(double delta, StepNoise noise);

}  // namespace calor::solve
