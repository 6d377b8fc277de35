// Blurring diffusion (Hoogeboom and Salimans, arXiv 2209.05557), in flow time.
#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "calor/path/paths.h"

namespace calor::path {
namespace {

class BlurringPath final : public SpectralPath {
 public:
  BlurringPath(double sigma_max, double blur_floor) : sigma_max_(sigma_max), floor_(blur_floor) {}

  std::string name() const override { return "blurring"; }
  bool depends_on_frequency() const override { return true; }

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return phi(t).cos().log() + remaining(t, lambda).log();
  }

  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return phi(t).sin().log();
  }

 protected:
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    const at::Tensor angle = (1 - t) * half_pi;
    const at::Tensor sine = angle.sin();
    // sigma_B^2/2 = (sigma_max^2/2) sin^4, so its derivative in t is -sigma_max^2 pi sin^3 cos.
    const at::Tensor d_variance =
        sine.pow(3) * angle.cos() * (-sigma_max_ * sigma_max_ * std::numbers::pi);
    const at::Tensor left = remaining(t, lambda);
    return phi(t).tan() * phi_range - lambda * d_variance * (left - floor_) / left;
  }

  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return -phi_range / phi(t).tan();
  }

 private:
  static constexpr double half_pi = std::numbers::pi / 2;
  // A/S runs from e^-5 to e^5 at lambda = 0.
  inline static const double phi_data = std::atan(std::exp(-5.0));
  inline static const double phi_range = std::atan(std::exp(5.0)) - phi_data;

  static at::Tensor phi(const at::Tensor& t) { return (1 - t) * phi_range + phi_data; }

  // d(t, lambda): the part of the frequency that the blur leaves.
  at::Tensor remaining(const at::Tensor& t, const at::Tensor& lambda) const {
    const at::Tensor variance = ((1 - t) * half_pi).sin().pow(4) * (sigma_max_ * sigma_max_);
    return (-lambda * variance / 2).exp() * (1 - floor_) + floor_;
  }

  double sigma_max_, floor_;
};

}  // namespace

std::unique_ptr<SpectralPath> blurring_path(double sigma_max, double blur_floor) {
  return std::make_unique<BlurringPath>(sigma_max, blur_floor);
}

}  // namespace calor::path
