// Diffusion with the squared-cosine schedule, in flow time. With w = pi/2 / 1.008, d = .008 and
// u = 1 - t the schedule is, without cancellation at either end,
//
//     A = sin(w t) / sin(w),      S^2 = sin(w u) sin(w (u + 2 d)) / sin(w)^2.
#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "calor/path/paths.h"

namespace calor::path {
namespace {

constexpr double offset = 0.008;
constexpr double frequency = std::numbers::pi / 2 / (1 + offset);
// The discrete schedule that is matched at the noise end.
constexpr double discrete_steps = 100;
constexpr double beta_max = 0.999;

class CosinePath final : public SpectralPath {
 public:
  std::string name() const override { return "cosine"; }

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return (inside(t) * frequency).sin().log() - log_sine;
  }

  // Exactly 0 at t = 1.
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    const at::Tensor u = 1 - inside(t);
    return ((u * frequency).sin().log() + ((u + 2 * offset) * frequency).sin().log()) / 2 -
           log_sine;
  }

 protected:
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return frequency / (inside(t) * frequency).tan() * moving(t);
  }

  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    const at::Tensor u = 1 - inside(t);
    const at::Tensor slopes =
        (u * frequency).tan().reciprocal() + ((u + 2 * offset) * frequency).tan().reciprocal();
    return slopes * (-frequency / 2) * moving(t);
  }

 private:
  inline static const double log_sine = std::log(std::sin(frequency));
  inline static const double first_time =
      std::asin(std::sqrt(1 - beta_max) * std::sin(frequency / discrete_steps)) / frequency;

  static at::Tensor inside(const at::Tensor& t) { return t.clamp_min(first_time); }
  // Before that time the path stands still.
  static at::Tensor moving(const at::Tensor& t) { return t.ge(first_time).to(t.scalar_type()); }
};

}  // namespace

std::unique_ptr<SpectralPath> cosine_path() { return std::make_unique<CosinePath>(); }

}  // namespace calor::path
