// IHDM's sampler (arXiv 2206.13397): the denoiser says the picture one level less
// blurred, and a step goes there and adds noise of standard deviation delta, a little more than
// what the network saw in training (.025 against .02, on pictures in [-1, 1]). The last step adds
// none.
#include <ATen/ATen.h>

#include "calor/core/error.h"
#include "calor/solve/integrators.h"

namespace calor::solve {
namespace {

class IhdmIntegrator final : public Integrator {
 public:
  IhdmIntegrator(double delta, StepNoise noise) : delta_(delta), noise_(std::move(noise)) {}

  at::Tensor advance(const at::Tensor& z, const at::Tensor& less_blurred, const Step& step,
                     const Denoise& /*denoise*/) override {
    if (step.last) return less_blurred;
    return less_blurred + delta_ * noise_(step.index).to(z.options());
  }

 private:
  double delta_;
  StepNoise noise_;
};

}  // namespace

std::unique_ptr<Integrator> ihdm_integrator(double delta, StepNoise noise) {
  if (!noise) {
    throw Error("noise for the steps of the sampler of IHDM", "none",
                "give each item a stream (solve::Start)");
  }
  return std::make_unique<IhdmIntegrator>(delta, std::move(noise));
}

}  // namespace calor::solve
