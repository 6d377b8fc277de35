// The trigonometric path: InterFlow.
#include <ATen/ATen.h>

#include <numbers>

#include "calor/path/paths.h"

namespace calor::path {
namespace {

constexpr double half_pi = std::numbers::pi / 2;

class TrigonometricPath final : public SpectralPath {
 public:
  std::string name() const override { return "trigonometric"; }

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return (t * half_pi).sin().log();
  }

  // sin of the complement instead of cos: exactly 0 at t = 1.
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return ((1 - t) * half_pi).sin().log();
  }

  Slopes slopes(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return {.a = half_pi * ((1 - t) * half_pi).sin(),
            .s = -half_pi * noise_scale() * (t * half_pi).sin()};
  }

  // A' - A S'/S = (pi/2) / cos: finite at t = 0, where the quotient A'/A is not.
  VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& lambda,
                                double t_eps) const override {
    const at::Tensor inside = t.clamp_max(1 - t_eps);
    return {.on_z = d_log_s(inside, lambda),
            .gain = at::ones_like(t),
            .rest = half_pi / ((1 - inside) * half_pi).sin()};
  }

 protected:
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return half_pi / (t * half_pi).tan();
  }

  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return -half_pi / ((1 - t) * half_pi).tan();
  }
};

}  // namespace

std::unique_ptr<SpectralPath> trigonometric_path() { return std::make_unique<TrigonometricPath>(); }

}  // namespace calor::path
