// Euler and Heun on the path's exact velocity. Neither evaluates at the end of the grid: the last
// step is Euler's, so t_eps may be 0.
#include <ATen/ATen.h>

#include "calor/solve/integrators.h"

namespace calor::solve {
namespace {

class VelocityIntegrator final : public Integrator {
 public:
  VelocityIntegrator(const path::PictureSpace& space, double t_eps, bool heun)
      : space_(space), t_eps_(t_eps), heun_(heun) {}

  at::Tensor advance(const at::Tensor& z, const at::Tensor& clean, const Step& step,
                     const Denoise& denoise) override {
    const double dt = step.to - step.from;
    const at::Tensor here = velocity(z, clean, step.from);
    const at::Tensor euler = z + dt * here;
    if (!heun_ || step.last) return euler;
    const at::Tensor there = velocity(euler, denoise(euler, step.to), step.to);
    return z + (dt / 2) * (here + there);
  }

 private:
  at::Tensor velocity(const at::Tensor& z, const at::Tensor& clean, double t) const {
    const at::Tensor time = at::full({1, 1, 1, 1}, t, at::kDouble);
    const at::Tensor lambda = space_.lambda.cpu().to(at::kDouble);
    const auto v = space_.path->velocity(time, lambda, t_eps_);
    return space_.combine(v.on_z.to(z.options()), z, v.on_x().to(z.options()), clean);
  }

  const path::PictureSpace& space_;
  double t_eps_;
  bool heun_;
};

}  // namespace

std::unique_ptr<Integrator> velocity_integrator(const path::PictureSpace& space, double t_eps,
                                                bool heun) {
  return std::make_unique<VelocityIntegrator>(space, t_eps, heun);
}

}  // namespace calor::solve
