// The ancestral sampler, per frequency: a step draws from the posterior q(Z_s | Z_t, X^), in which
// the predicted clean picture stands for the true one (DDPM: Ho, Jain, Abbeel, arXiv 2006.11239;
// per frequency: blurring diffusion, arXiv 2209.05557). With a = A_t/A_s and v = S_t^2 - a^2 S_s^2,
// the noise that a step adds on the way to noise, the posterior has
//
//     variance p = 1/(1/S_s^2 + a^2/v),      mean p (a/v Z_t + A_s/S_s^2 X^).
//
// In h, the change of ln(A/S), a S_s/S_t = e^-h and v = S_t^2 (1 - e^-2h), hence
//
//     Z_s = exp(ln S_s - ln S_t - h) Z_t - A_s expm1(-2h) X^ + S_s sqrt(-expm1(-2h)) E,
//
// which stays exact where A underflows or is 0. Everything in float64.
#include <ATen/ATen.h>

#include "calor/core/error.h"
#include "calor/solve/integrators.h"

namespace calor::solve {
namespace {

class AncestralIntegrator final : public Integrator {
 public:
  AncestralIntegrator(const path::PictureSpace& space, StepNoise noise)
      : space_(space), lambda_(space.lambda.cpu().to(at::kDouble)), noise_(std::move(noise)) {}

  at::Tensor advance(const at::Tensor& z, const at::Tensor& clean, const Step& step,
                     const Denoise& /*denoise*/) override {
    if (step.to == 1) return clean;
    const at::Tensor from = time(step.from);
    const at::Tensor to = time(step.to);
    const path::SpectralPath& path = *space_.path;
    // Never below 0 but by rounding.
    const at::Tensor h = (log_snr(path, to, lambda_) - log_snr(path, from, lambda_)).clamp_min(0);
    const at::Tensor log_s_end = path.log_s(to, lambda_);
    const at::Tensor renewed = -at::expm1(-2 * h);
    const at::Tensor keep = (log_s_end - path.log_s(from, lambda_) - h).exp().to(z.options());
    const at::Tensor add = (path.log_a(to, lambda_).exp() * renewed).to(z.options());
    const at::Tensor spread = (log_s_end.exp() * renewed.sqrt()).to(z.options());
    // White noise is white in both domains: it is drawn where it is needed.
    const at::Tensor noise = noise_(step.index).to(z.options());
    if (!path.depends_on_frequency()) return keep * z + add * clean + spread * noise;
    return space_.dct.inverse(keep * space_.dct.forward(z) + add * space_.dct.forward(clean) +
                              spread * noise);
  }

 private:
  static at::Tensor time(double t) { return at::full({1, 1, 1, 1}, t, at::kDouble); }

  const path::PictureSpace& space_;
  at::Tensor lambda_;
  StepNoise noise_;
};

}  // namespace

std::unique_ptr<Integrator> ancestral_integrator(const path::PictureSpace& space, StepNoise noise) {
  if (!noise) {
    throw Error("noise for the steps of the ancestral sampler", "none",
                "give each item a stream (solve::Start), or take another solver");
  }
  return std::make_unique<AncestralIntegrator>(space, std::move(noise));
}

}  // namespace calor::solve
