// Heat dissipation (arXiv 2605.19371) and, without blur, the linear path.
#include <ATen/ATen.h>

#include "calor/path/paths.h"

namespace calor::path {
namespace {

constexpr double time_floor = 1e-4;  // inside the power: the blur stops growing below it

class HeatPath final : public SpectralPath {
 public:
  HeatPath(std::string name, double a) : name_(std::move(name)), a_(a) {}

  std::string name() const override { return name_; }
  bool depends_on_frequency() const override { return a_ > 0; }
  double natural_mixture(double lambda_max) const override { return 1 + a_ * lambda_max; }
  double exact_blur_term() const override { return a_; }

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return a_ > 0 ? t.log() + log_blur(t, lambda) : t.log();
  }

  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return (1 - t).log();
  }

  Slopes slopes(const at::Tensor& t, const at::Tensor& lambda) const override {
    const at::Tensor s = at::full_like(t, -noise_scale());
    if (a_ == 0) return {.a = at::ones_like(t), .s = s};
    const at::Tensor blurring = t.ge(time_floor).to(t.scalar_type());
    return {.a = log_blur(t, lambda).exp() * (1 + a_ * lambda * blurring), .s = s};
  }

  // dz/dt = (B x - z)/(1 - t) + c lambda B x.
  VelocityCoefficients velocity_with_blur_term(const at::Tensor& t, const at::Tensor& lambda,
                                               double t_eps, double c) const override {
    const at::Tensor rate = (1 - t).clamp_min(t_eps).reciprocal();
    if (a_ == 0) return {.on_z = -rate, .gain = at::ones_like(t), .rest = rate};
    return {.on_z = -rate, .gain = log_blur(t, lambda).exp(), .rest = rate + c * lambda};
  }

  // Below the floor the blur is constant, so the exact velocity has no blur term there.
  VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& lambda,
                                double t_eps) const override {
    if (a_ == 0) return velocity_with_blur_term(t, lambda, t_eps, 0);
    const at::Tensor rate = (1 - t).clamp_min(t_eps).reciprocal();
    const at::Tensor blurring = t.ge(time_floor).to(t.scalar_type());
    return {
        .on_z = -rate, .gain = log_blur(t, lambda).exp(), .rest = rate + a_ * lambda * blurring};
  }

 protected:
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return (1 + a_ * lambda * t.ge(time_floor).to(t.scalar_type())) / t;
  }

  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return -(1 - t).reciprocal();
  }

 private:
  // log of B_t = t^(a lambda).
  at::Tensor log_blur(const at::Tensor& t, const at::Tensor& lambda) const {
    return t.clamp_min(time_floor).log() * (a_ * lambda);
  }

  std::string name_;
  double a_;
};

}  // namespace

std::unique_ptr<SpectralPath> heat_path(std::string name, double a) {
  return std::make_unique<HeatPath>(std::move(name), a);
}

}  // namespace calor::path
