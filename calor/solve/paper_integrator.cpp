// The published sampler of HDFM (arXiv 2605.19371): the velocity is split into a base (towards the
// blurred prediction) and a blur term delta, and the share of delta is chosen per sample from how
// much either changed over the step.
#include <ATen/ATen.h>

#include "calor/solve/integrators.h"

namespace calor::solve {
namespace {

struct SplitVelocity {
  at::Tensor base, delta;
};

class PaperIntegrator final : public Integrator {
 public:
  PaperIntegrator(const path::PictureSpace& space, double t_eps, bool heun)
      : space_(space), t_eps_(t_eps), heun_(heun) {}

  at::Tensor advance(const at::Tensor& z, const at::Tensor& clean, const Step& step,
                     const Denoise& denoise) override {
    const double dt = step.to - step.from;
    const SplitVelocity here = velocity(z, clean, step.from);
    const at::Tensor predicted = z + dt * (here.base - 0.5 * here.delta);
    const SplitVelocity there = velocity(predicted, denoise(predicted, step.to), step.to);
    const at::Tensor beta = blur_share(here, there);
    if (heun_ && !step.last) {
      return z + dt * ((here.base + there.base) / 2 - beta * (here.delta + there.delta) / 2);
    }
    return z + dt * (here.base - beta * here.delta);
  }

 private:
  // base = (B x - z)/max(1 - t, t_eps), delta = -lambda B x.
  SplitVelocity velocity(const at::Tensor& z, const at::Tensor& clean, double t) const {
    const at::Tensor time = at::full({1, 1, 1, 1}, t, at::kDouble);
    const at::Tensor lambda = space_.lambda.cpu().to(at::kDouble);
    const auto without_blur = space_.path->velocity_with_blur_term(time, lambda, t_eps_, 0);
    const at::Tensor blur = without_blur.gain.to(z.options());
    const at::Tensor coefficients = blur * space_.dct.forward(clean);
    const double rate = -without_blur.on_z.item<double>();
    return {.base = (space_.dct.inverse(coefficients) - z) * rate,
            .delta = space_.dct.inverse(coefficients * -space_.lambda)};
  }

  // beta [N, 1, 1, 1]: small where the blur term is what makes the velocity change.
  static at::Tensor blur_share(const SplitVelocity& here, const SplitVelocity& there) {
    const at::Tensor base_change = there.base - here.base;
    const at::Tensor full_change = base_change - (there.delta - here.delta);
    const at::Tensor full = full_change.square().mean({1, 2, 3}, true) + 1e-12;
    const at::Tensor base = base_change.square().mean({1, 2, 3}, true) + 1e-12;
    return (base / (full + base)).clamp(0.05, 0.95);
  }

  const path::PictureSpace& space_;
  double t_eps_;
  bool heun_;
};

}  // namespace

std::unique_ptr<Integrator> paper_integrator(const path::PictureSpace& space, double t_eps,
                                             bool heun) {
  return std::make_unique<PaperIntegrator>(space, t_eps, heun);
}

}  // namespace calor::solve
