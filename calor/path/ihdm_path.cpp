// Inverse heat dissipation (Rissanen, Heinonen and Solin, arXiv 2206.13397), in flow time.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/path/paths.h"

namespace calor::path {
namespace {

class IhdmPath final : public SpectralPath {
 public:
  explicit IhdmPath(const Levels& levels)
      : levels_(levels),
        // A single level is the strongest.
        first_(levels.levels > 1 ? levels.sigma_min : levels.sigma_max),
        growth_(std::log(levels.sigma_max / first_) /
                static_cast<double>(std::max<std::int64_t>(1, levels.levels - 1))) {}

  std::string name() const override { return "ihdm"; }
  bool depends_on_frequency() const override { return true; }
  std::int64_t levels() const override { return levels_.levels; }

  at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    return sigma(level(t)).square() * lambda / -2;
  }

  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return at::full_like(t, std::log(levels_.noise));
  }

 protected:
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const override {
    const at::Tensor k = level(t);
    const at::Tensor blur = sigma(k);
    const at::Tensor slope = at::where(k.lt(1), at::full_like(k, first_), blur * growth_);
    return blur * slope * lambda * static_cast<double>(levels_.levels);
  }

  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& /*lambda*/) const override {
    return at::zeros_like(t);
  }

 private:
  // k, with what lies between two levels in proportion.
  at::Tensor level(const at::Tensor& t) const {
    return (1 - t) * static_cast<double>(levels_.levels);
  }
  at::Tensor sigma(const at::Tensor& k) const {
    return k.clamp_max(1) * first_ * ((k - 1).clamp_min(0) * growth_).exp();
  }

  Levels levels_;
  double first_, growth_;
};

}  // namespace

std::unique_ptr<SpectralPath> ihdm_path(const Levels& levels) {
  require_usage(levels.sigma_max >= levels.sigma_min,
                "path.sigma_max of at least path.sigma_min where path.kind = \"ihdm\"",
                fmt::format("{:g} and {:g} px", levels.sigma_max, levels.sigma_min),
                "set the weakest blur below the strongest");
  return std::make_unique<IhdmPath>(levels);
}

}  // namespace calor::path
