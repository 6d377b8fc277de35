// The spectral exponential integrator: between two evaluations the path is followed exactly, per
// frequency, for a clean picture that is constant (first order, DDIM) or linear in log(A/S) (second
// order multistep, DPM-Solver++ 2M). Everything is computed from the logarithms of the schedules in
// float64: A itself underflows in fp32 for strong blurs.
//
//     Z_s = exp(ln S_s - ln S_t) Z_t - exp(ln A_s) expm1(-h) D,     h = change of ln(A/S)
#include <ATen/ATen.h>

#include "calor/solve/integrators.h"

namespace calor::solve {
namespace {

class SpectralIntegrator final : public Integrator {
 public:
  SpectralIntegrator(const path::PictureSpace& space, bool multistep)
      : space_(space), lambda_(space.lambda.cpu().to(at::kDouble)), multistep_(multistep) {}

  at::Tensor advance(const at::Tensor& z, const at::Tensor& clean, const Step& step,
                     const Denoise& /*denoise*/) override {
    const at::Tensor from = time(step.from);
    const at::Tensor to = time(step.to);
    const path::SpectralPath& path = *space_.path;
    const at::Tensor h = log_snr(path, to, lambda_) - log_snr(path, from, lambda_);
    const at::Tensor x = to_coefficients(clean);
    const at::Tensor d = extrapolated(x, h);
    previous_ = x;
    previous_h_ = h;

    const at::Tensor log_s_end = path.log_s(to, lambda_);
    if (step.last && step.to == 1 && !at::isneginf(log_s_end).all().item<bool>()) {
      return to_picture(d);  // the path ends with noise: the clean picture is the sample
    }
    const at::Tensor keep = (log_s_end - path.log_s(from, lambda_)).exp();
    const at::Tensor add = -path.log_a(to, lambda_).exp() * at::expm1(-h);
    return to_picture(keep.to(z.options()) * to_coefficients(z) + add.to(z.options()) * d);
  }

 private:
  static at::Tensor time(double t) { return at::full({1, 1, 1, 1}, t, at::kDouble); }

  // Where nothing depends on the frequency the pixel domain serves as well.
  at::Tensor to_coefficients(const at::Tensor& pictures) const {
    return space_.path->depends_on_frequency() ? space_.dct.forward(pictures) : pictures;
  }
  at::Tensor to_picture(const at::Tensor& coefficients) const {
    return space_.path->depends_on_frequency() ? space_.dct.inverse(coefficients) : coefficients;
  }

  // D = X_i + f (X_i - X_{i-1}), f = h_i / (2 h_{i-1}); f = 0 where either is infinite (a step from
  // t = 0, or into S = 0) or the previous one is empty.
  at::Tensor extrapolated(const at::Tensor& x, const at::Tensor& h) const {
    if (!multistep_ || !previous_.defined()) return x;
    const at::Tensor usable =
        h.isfinite().logical_and(previous_h_.isfinite()).logical_and(previous_h_.ne(0));
    const at::Tensor f = at::where(usable, h / (2 * previous_h_), at::zeros_like(h));
    return x + f.to(x.options()) * (x - previous_);
  }

  const path::PictureSpace& space_;
  at::Tensor lambda_;
  bool multistep_;
  at::Tensor previous_, previous_h_;
};

}  // namespace

std::unique_ptr<Integrator> spectral_integrator(const path::PictureSpace& space, bool multistep) {
  return std::make_unique<SpectralIntegrator>(space, multistep);
}

}  // namespace calor::solve
