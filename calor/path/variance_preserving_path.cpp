// Variance-preserving diffusion with a linear beta, in flow time.
#include <ATen/ATen.h>

#include "calor/path/paths.h"

namespace calor::path {
namespace {

class VariancePreservingPath final : public SpectralPath {
 public:
  VariancePreservingPath(double beta_min, double beta_max)
      : beta_min_(beta_min), beta_max_(beta_max) {}

  std::string name() const override { return "variance-preserving"; }

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    const at::Tensor u = 1 - t;
    return u.square() * (-(beta_max_ - beta_min_) / 4) - u * (beta_min_ / 2);
  }

  // S^2 = 1 - A^2 = -expm1(2 log A), without cancellation near the data.
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& lambda) const override {
    return (-(2 * log_a(t, lambda)).expm1()).log() / 2;
  }

 protected:
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return (1 - t) * ((beta_max_ - beta_min_) / 2) + beta_min_ / 2;
  }

  // S'/S = -A A'/S^2 = -(log A)' A^2/S^2, and A^2/S^2 = 1/expm1(-2 log A).
  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& lambda) const override {
    return -d_log_a(t, lambda) / (-2 * log_a(t, lambda)).expm1();
  }

 private:
  double beta_min_, beta_max_;
};

}  // namespace

std::unique_ptr<SpectralPath> variance_preserving_path(double beta_min, double beta_max) {
  return std::make_unique<VariancePreservingPath>(beta_min, beta_max);
}

}  // namespace calor::path
