#include "calor/path/stage_path.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/core/error.h"

namespace calor::path {
namespace {

constexpr double half_pi = std::numbers::pi / 2;

// All formulas are in s = 1 - t; a derivative by t is minus that by s.
class StagePath : public SpectralPath {
 public:
  explicit StagePath(const StageStep& step) : step_(step) {}

  bool depends_on_frequency() const override { return step_.rho > 0 && !step_.free; }
  at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return a(1 - t, lambda).log();
  }
  VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& lambda,
                                double t_eps) const override {
    const at::Tensor s = (1 - t).clamp_min(t_eps);
    return {.on_z = -s_rate(s, lambda), .gain = at::ones_like(t), .rest = rest(s, lambda)};
  }
  Slopes slopes(const at::Tensor& t, const at::Tensor& lambda) const override {
    const at::Tensor s = 1 - t;
    return {.a = -da(s, lambda), .s = -noise_scale() * ds(s, lambda)};
  }

 protected:
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& lambda) const override {
    return s(1 - t, lambda).log();
  }
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return -da(1 - t, lambda) / a(1 - t, lambda);
  }
  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& lambda) const override {
    return -s_rate(1 - t, lambda);
  }

  using T = const at::Tensor&;
  virtual at::Tensor a(T s, T lambda) const = 0;
  virtual at::Tensor s(T s, T lambda) const = 0;
  virtual at::Tensor da(T s, T lambda) const = 0;
  virtual at::Tensor ds(T s, T lambda) const = 0;
  virtual at::Tensor s_rate(T s, T lambda) const = 0;  // S'/S
  virtual at::Tensor rest(T s, T lambda) const = 0;    // -(A' - A S'/S)

  StageStep step_;
};

class LinearStage final : public StagePath {
 public:
  LinearStage(const StageStep& step, double sigma_min) : StagePath(step), sigma_min_(sigma_min) {}
  std::string name() const override { return "linear stage"; }

 protected:
  at::Tensor a(T s, T lambda) const override { return 1 - s * fall(lambda); }
  at::Tensor s(T s, T lambda) const override { return s * step_.beta(lambda); }
  at::Tensor da(T s, T lambda) const override { return -fall(lambda) * at::ones_like(s); }
  at::Tensor ds(T s, T lambda) const override { return step_.beta(lambda) * at::ones_like(s); }
  at::Tensor s_rate(T s, T /*lambda*/) const override { return s.reciprocal(); }
  at::Tensor rest(T s, T /*lambda*/) const override { return s.reciprocal(); }

 private:
  at::Tensor fall(T lambda) const { return (1 - sigma_min_) - step_.alpha(lambda); }

  double sigma_min_;
};

class TrigonometricStage final : public StagePath {
 public:
  explicit TrigonometricStage(const StageStep& step) : StagePath(step) {}
  std::string name() const override { return "trigonometric stage"; }

 protected:
  at::Tensor a(T s, T lambda) const override { return cos(s) + step_.alpha(lambda) * sin(s); }
  at::Tensor s(T s, T lambda) const override { return step_.beta(lambda) * sin(s); }
  at::Tensor da(T s, T lambda) const override {
    return half_pi * (step_.alpha(lambda) * cos(s) - sin(s));
  }
  at::Tensor ds(T s, T lambda) const override { return half_pi * step_.beta(lambda) * cos(s); }
  at::Tensor s_rate(T s, T /*lambda*/) const override { return half_pi / (s * half_pi).tan(); }
  at::Tensor rest(T s, T /*lambda*/) const override { return half_pi / sin(s); }

 private:
  static at::Tensor sin(T s) { return (s * half_pi).sin(); }
  // sin of the complement: exactly 0 at s = 1.
  static at::Tensor cos(T s) { return ((1 - s) * half_pi).sin(); }
};

class OuStage final : public StagePath {
 public:
  explicit OuStage(const StageStep& step) : StagePath(step) {}
  std::string name() const override { return "ou stage"; }

  at::Tensor log_a(T t, T lambda) const override { return (t - 1) * rate(lambda); }

 protected:
  at::Tensor a(T s, T lambda) const override { return (s * -rate(lambda)).exp(); }
  at::Tensor s(T s, T lambda) const override { return variance(s, lambda).sqrt(); }
  at::Tensor da(T s, T lambda) const override { return -rate(lambda) * a(s, lambda); }
  at::Tensor ds(T s, T lambda) const override { return s_rate(s, lambda) * this->s(s, lambda); }
  at::Tensor s_rate(T s, T lambda) const override {
    return rate(lambda) * (s * (-2 * rate(lambda))).exp() / variance(s, lambda);
  }
  at::Tensor rest(T s, T lambda) const override {
    return rate(lambda) * a(s, lambda) / variance(s, lambda);
  }

 private:
  at::Tensor rate(T lambda) const { return step_.dilated(step_.gamma, lambda); }
  at::Tensor variance(T s, T lambda) const { return -at::expm1(s * (-2 * rate(lambda))); }
};

class GlobalStage final : public SpectralPath {
 public:
  GlobalStage(std::unique_ptr<SpectralPath> local, const StageStep& step)
      : local_(std::move(local)), step_(step) {}

  std::string name() const override { return "global " + local_->name(); }
  bool depends_on_frequency() const override { return step_.rho > 0; }
  at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return local_->log_a(t, lambda) - step_.dilated(step_.start, lambda);
  }
  VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& lambda,
                                double /*t_eps*/) const override {
    const at::Tensor on_z = d_log_s(t, lambda);
    return {.on_z = on_z,
            .gain = at::ones_like(t),
            .rest = slopes(t, lambda).a - log_a(t, lambda).exp() * on_z};
  }
  Slopes slopes(const at::Tensor& t, const at::Tensor& lambda) const override {
    return {.a = local_->slopes(t, lambda).a * step_.kept(lambda),
            .s = log_s(t, lambda).exp() * d_log_s(t, lambda)};
  }

 protected:
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& lambda) const override {
    return variance(t, lambda).log() / 2;
  }
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return local_->slopes(t, lambda).a / local_->log_a(t, lambda).exp();
  }
  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& lambda) const override {
    const Slopes slopes = local_->slopes(t, lambda);
    const at::Tensor a = local_->log_a(t, lambda).exp();
    const at::Tensor s = local_->log_s(t, lambda).exp();
    const at::Tensor left = step_.spread(lambda).square();
    return (a * slopes.a * left + s * slopes.s) / variance(t, lambda);
  }

 private:
  at::Tensor variance(const at::Tensor& t, const at::Tensor& lambda) const {
    const at::Tensor spread = local_->log_a(t, lambda).exp() * step_.spread(lambda);
    return spread.square() + (2 * local_->log_s(t, lambda)).exp();
  }

  std::unique_ptr<SpectralPath> local_;  // for noise of standard deviation 1
  StageStep step_;
};

}  // namespace

namespace {

// Takes on the type and device of what it is multiplied with.
at::Tensor one_number(double value) { return at::scalar_tensor(value, at::kDouble); }

}  // namespace

at::Tensor StageStep::dilated(double time, const at::Tensor& lambda) const {
  if (rho == 0) return one_number(time);
  return time * (1 + rho * lambda);
}
at::Tensor StageStep::alpha(const at::Tensor& lambda) const {
  if (free) return one_number(0);
  return dilated(-gamma, lambda).exp();
}
at::Tensor StageStep::beta(const at::Tensor& lambda) const {
  if (free) return one_number(1);
  return (-at::expm1(dilated(-2 * gamma, lambda))).sqrt();
}
at::Tensor StageStep::kept(const at::Tensor& lambda) const { return dilated(-start, lambda).exp(); }
at::Tensor StageStep::spread(const at::Tensor& lambda) const {
  return (-at::expm1(dilated(-2 * start, lambda))).sqrt();
}

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

std::unique_ptr<SpectralPath> global_stage_path(InnerPath inner, const StageStep& step) {
  auto local = stage_path(inner, step);
  if (step.start == 0) return local;
  return std::make_unique<GlobalStage>(std::move(local), step);
}

ChainPath::ChainPath(std::vector<std::shared_ptr<const SpectralPath>> from_data)
    : from_data_(std::move(from_data)) {}

ChainPath::Place ChainPath::place(double t) const {
  const auto n = static_cast<double>(from_data_.size());
  const double from_noise = std::clamp(std::floor(t * n), 0.0, n - 1);
  return {.stage = from_data_.size() - 1 - static_cast<std::size_t>(from_noise),
          .t = std::clamp(t * n - from_noise, 0.0, 1.0)};
}

bool ChainPath::depends_on_frequency() const {
  return std::ranges::any_of(from_data_, [](const auto& p) { return p->depends_on_frequency(); });
}

at::Tensor ChainPath::pieced(
    const at::Tensor& t,
    const std::function<at::Tensor(const SpectralPath&, const at::Tensor&)>& of) const {
  const auto n = static_cast<double>(from_data_.size());
  const at::Tensor from_noise = (t * n).floor().clamp(0, n - 1);
  at::Tensor out;
  for (std::size_t k = 0; k < from_data_.size(); ++k) {
    const auto first = static_cast<double>(k);
    const SpectralPath& path = *from_data_[from_data_.size() - 1 - k];
    const at::Tensor value = of(path, (t * n - first).clamp(0, 1));
    out = k == 0 ? value : at::where(from_noise.eq(first), value, out);
  }
  return out;
}

at::Tensor ChainPath::log_a(const at::Tensor& t, const at::Tensor& lambda) const {
  return pieced(t,
                [&](const auto& path, const at::Tensor& own) { return path.log_a(own, lambda); });
}

at::Tensor ChainPath::unit_log_s(const at::Tensor& t, const at::Tensor& lambda) const {
  return pieced(t,
                [&](const auto& path, const at::Tensor& own) { return path.log_s(own, lambda); });
}

VelocityCoefficients ChainPath::velocity(const at::Tensor& t, const at::Tensor& lambda,
                                         double t_eps) const {
  const auto speed =
      static_cast<double>(from_data_.size());  // of a stage's time against the chain's
  const auto part = [&](at::Tensor VelocityCoefficients::*member, double factor) {
    return pieced(t, [&](const auto& path, const at::Tensor& own) {
      return path.velocity(own, lambda, t_eps).*member * factor;
    });
  };
  return {.on_z = part(&VelocityCoefficients::on_z, speed),
          .gain = part(&VelocityCoefficients::gain, 1),
          .rest = part(&VelocityCoefficients::rest, speed)};
}

at::Tensor ChainPath::d_log_s(const at::Tensor& t, const at::Tensor& lambda) const {
  return velocity(t, lambda, 0).on_z;
}

at::Tensor ChainPath::d_log_a(const at::Tensor& t, const at::Tensor& lambda) const {
  const VelocityCoefficients v = velocity(t, lambda, 0);
  return v.on_x() / log_a(t, lambda).exp() + v.on_z;
}

}  // namespace calor::path
