#include "calor/path/stage_path.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "calor/core/error.h"

namespace calor::path {
namespace {

constexpr double half_pi = std::numbers::pi / 2;

// All formulas are in s = 1 - t; a derivative by t is minus that by s.
class StagePath : public SpectralPath {
 public:
  explicit StagePath(const StageStep& step) : alpha_(step.alpha()), beta_(step.beta()) {}

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return a(1 - t).log();
  }
  VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& /*lambda*/,
                                double t_eps) const override {
    const at::Tensor s = (1 - t).clamp_min(t_eps);
    return {.on_z = -s_rate(s), .gain = at::ones_like(t), .rest = rest(s)};
  }
  Slopes slopes(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    const at::Tensor s = 1 - t;
    return {.a = -da(s), .s = -noise_scale() * ds(s)};
  }

 protected:
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return s(1 - t).log();
  }
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return -da(1 - t) / a(1 - t);
  }
  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return -s_rate(1 - t);
  }

  virtual at::Tensor a(const at::Tensor& s) const = 0;
  virtual at::Tensor s(const at::Tensor& s) const = 0;
  virtual at::Tensor da(const at::Tensor& s) const = 0;
  virtual at::Tensor ds(const at::Tensor& s) const = 0;
  virtual at::Tensor s_rate(const at::Tensor& s) const = 0;  // S'/S
  virtual at::Tensor rest(const at::Tensor& s) const = 0;    // -(A' - A S'/S)

  double alpha_, beta_;
};

class LinearStage final : public StagePath {
 public:
  LinearStage(const StageStep& step, double sigma_min)
      : StagePath(step), fall_(1 - alpha_ - sigma_min) {}
  std::string name() const override { return "linear stage"; }

 protected:
  at::Tensor a(const at::Tensor& s) const override { return 1 - s * fall_; }
  at::Tensor s(const at::Tensor& s) const override { return s * beta_; }
  at::Tensor da(const at::Tensor& s) const override { return at::full_like(s, -fall_); }
  at::Tensor ds(const at::Tensor& s) const override { return at::full_like(s, beta_); }
  at::Tensor s_rate(const at::Tensor& s) const override { return s.reciprocal(); }
  at::Tensor rest(const at::Tensor& s) const override { return s.reciprocal(); }

 private:
  double fall_;
};

class TrigonometricStage final : public StagePath {
 public:
  explicit TrigonometricStage(const StageStep& step) : StagePath(step) {}
  std::string name() const override { return "trigonometric stage"; }

 protected:
  at::Tensor a(const at::Tensor& s) const override { return cos(s) + alpha_ * sin(s); }
  at::Tensor s(const at::Tensor& s) const override { return beta_ * sin(s); }
  at::Tensor da(const at::Tensor& s) const override { return half_pi * (alpha_ * cos(s) - sin(s)); }
  at::Tensor ds(const at::Tensor& s) const override { return half_pi * beta_ * cos(s); }
  at::Tensor s_rate(const at::Tensor& s) const override { return half_pi / (s * half_pi).tan(); }
  at::Tensor rest(const at::Tensor& s) const override { return half_pi / sin(s); }

 private:
  static at::Tensor sin(const at::Tensor& s) { return (s * half_pi).sin(); }
  // sin of the complement: exactly 0 at s = 1.
  static at::Tensor cos(const at::Tensor& s) { return ((1 - s) * half_pi).sin(); }
};

class OuStage final : public StagePath {
 public:
  explicit OuStage(const StageStep& step) : StagePath(step), gamma_(step.gamma) {}
  std::string name() const override { return "ou stage"; }

 protected:
  at::Tensor a(const at::Tensor& s) const override { return (s * -gamma_).exp(); }
  at::Tensor s(const at::Tensor& s) const override { return variance(s).sqrt(); }
  at::Tensor da(const at::Tensor& s) const override { return -gamma_ * a(s); }
  at::Tensor ds(const at::Tensor& s) const override { return s_rate(s) * this->s(s); }
  at::Tensor s_rate(const at::Tensor& s) const override {
    return gamma_ * (s * (-2 * gamma_)).exp() / variance(s);
  }
  at::Tensor rest(const at::Tensor& s) const override { return gamma_ * a(s) / variance(s); }

 private:
  at::Tensor variance(const at::Tensor& s) const { return -at::expm1(s * (-2 * gamma_)); }

  double gamma_;
};

}  // namespace

double StageStep::alpha() const { return free ? 0 : std::exp(-gamma); }
double StageStep::beta() const { return free ? 1 : std::sqrt(-std::expm1(-2 * gamma)); }
double StageStep::kept() const { return std::exp(-start); }
double StageStep::spread() const { return std::sqrt(-std::expm1(-2 * start)); }

std::unique_ptr<SpectralPath> stage_path(InnerPath inner, const StageStep& step, double sigma_min) {
  switch (inner) {
    case InnerPath::trigonometric:
      return std::make_unique<TrigonometricStage>(step);
    case InnerPath::ou:
      if (!step.free) return std::make_unique<OuStage>(step);
      throw usage_error("an inner path that reaches noise in the free stage",
                        "stages.inner = \"ou\" in a chain whose last stage is free",
                        "set stages.free_inner to linear or trigonometric");
    case InnerPath::linear:
      break;
  }
  return std::make_unique<LinearStage>(step, sigma_min);
}

}  // namespace calor::path
