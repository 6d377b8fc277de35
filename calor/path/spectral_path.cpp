#include "calor/path/spectral_path.h"

#include <ATen/ATen.h>

#include <cmath>

#include "calor/path/paths.h"

namespace calor::path {

at::Tensor VelocityCoefficients::on_x() const { return gain * rest; }

at::Tensor SpectralPath::log_s(const at::Tensor& t, const at::Tensor& lambda) const {
  const at::Tensor unit = unit_log_s(t, lambda);
  return noise_scale_ == 1 ? unit : unit + std::log(noise_scale_);
}

VelocityCoefficients SpectralPath::velocity_with_blur_term(const at::Tensor& t,
                                                           const at::Tensor& lambda, double t_eps,
                                                           double /*c*/) const {
  return velocity(t, lambda, t_eps);
}

VelocityCoefficients SpectralPath::velocity(const at::Tensor& t, const at::Tensor& lambda,
                                            double t_eps) const {
  const at::Tensor inside = t.clamp_max(1 - t_eps);
  const at::Tensor ds = d_log_s(inside, lambda);
  const at::Tensor a = log_a(inside, lambda).exp();
  return {.on_z = ds, .gain = at::ones_like(t), .rest = a * (d_log_a(inside, lambda) - ds)};
}

Slopes SpectralPath::slopes(const at::Tensor& t, const at::Tensor& lambda) const {
  return {.a = log_a(t, lambda).exp() * d_log_a(t, lambda),
          .s = log_s(t, lambda).exp() * d_log_s(t, lambda)};
}

at::Tensor log_snr(const SpectralPath& path, const at::Tensor& t, const at::Tensor& lambda) {
  return path.log_a(t, lambda) - path.log_s(t, lambda);
}

at::Tensor next_level(const SpectralPath& path, const at::Tensor& t) {
  return (t + 1 / static_cast<double>(path.levels())).clamp_max(1);
}

void PathOptions::declare(config::Options& options) {
  static constexpr config::Choice<PathKind> kinds[] = {
      {"linear", PathKind::linear, "A = t, S = 1 - t (FM, JiT)"},
      {"trigonometric", PathKind::trigonometric, "A = sin(pi t/2), S = cos(pi t/2)"},
      {"cosine", PathKind::cosine,
       "diffusion with the squared-cosine schedule; A >= 4.9e-4, as in 100 steps of DDPM"},
      {"variance-preserving", PathKind::variance_preserving, "diffusion with linear beta"},
      {"heat", PathKind::heat, "A = t t^(a lambda), S = 1 - t (HDFM)"},
      {"blurring", PathKind::blurring, "blurring diffusion"},
      {"ihdm", PathKind::ihdm, "inverse heat dissipation: blur by levels, with a constant noise"},
  };
  options.add("path.kind", kind, kinds, "the path between noise and data");
  options.add("path.noise_scale", noise_scale, {1e-3, 1e3}, "", "standard deviation of the noise");
  options.add("path.a", a, {0, 1024}, "pixel^2", "heat: the blur at time t is sqrt(-2 a ln t) px");
  options.add("path.reference_size", reference_size, {0, 16384}, "px",
              "heat: a counts for pictures of this side and grows with the area; 0: same blur in "
              "pixels at every size");
  options.add("path.beta_min", beta_min, {0, 1e3}, "", "variance preserving: beta at the data end");
  options.add("path.beta_max", beta_max, {1e-3, 1e4}, "",
              "variance preserving: beta at the noise end");
  options.add("path.sigma_max", sigma_max, {0, 1e4}, "px", "blurring, ihdm: the strongest blur");
  options.add("path.blur_floor", blur_floor, {1e-6, 1}, "",
              "blurring: what the strongest blur leaves of the finest detail");
  options.add("path.levels", levels, {1, 100000}, "levels",
              "ihdm: levels of blur, which are the steps of its sampler, too");
  options.add("path.sigma_min", sigma_min, {1e-3, 1e4}, "px", "ihdm: the weakest blur");
  options.add("path.level_noise", level_noise, {1e-6, 1}, "",
              "ihdm: standard deviation of the noise at every level");
}

namespace {

std::unique_ptr<SpectralPath> make_unit_path(const PathOptions& options, std::int64_t height,
                                             std::int64_t width) {
  switch (options.kind) {
    case PathKind::linear:
      return heat_path("linear", 0);
    case PathKind::trigonometric:
      return trigonometric_path();
    case PathKind::cosine:
      return cosine_path();
    case PathKind::variance_preserving:
      return variance_preserving_path(options.beta_min, options.beta_max);
    case PathKind::blurring:
      return blurring_path(options.sigma_max, options.blur_floor);
    case PathKind::ihdm:
      return ihdm_path({.levels = options.levels,
                        .sigma_min = options.sigma_min,
                        .sigma_max = options.sigma_max,
                        .noise = options.level_noise});
    case PathKind::heat:
      break;
  }
  double a = options.a;
  if (options.reference_size > 0) {
    const auto reference = static_cast<double>(options.reference_size);
    a *= static_cast<double>(height) * static_cast<double>(width) / (reference * reference);
  }
  return heat_path("heat", a);
}

}  // namespace

std::unique_ptr<SpectralPath> make_path(const PathOptions& options, std::int64_t height,
                                        std::int64_t width) {
  auto path = make_unit_path(options, height, width);
  path->set_noise_scale(options.noise_scale);
  return path;
}

}  // namespace calor::path
