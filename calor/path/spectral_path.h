// A spectral path carries data to noise frequency by frequency: in the DCT domain
//
//     Z_t = A(t, lambda) X + S(t, lambda) E,      t = 0 is noise, t = 1 is data,
//
// with E white noise and lambda the negated Laplacian eigenvalue of the frequency. Flow matching,
// diffusion, blurring diffusion and heat dissipation flow matching (arXiv 2605.19371) are choices
// of the two schedules A and S; nothing else in the library depends on which one is chosen.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "calor/config/options.h"

namespace calor::path {

// The velocity of the path given the clean picture, per frequency: V = on_z Z + gain rest X.
// `gain` is the factor that vanishes where the path has lost the frequency (1 where none does).
struct VelocityCoefficients {
  at::Tensor on_z, gain, rest;
  at::Tensor on_x() const;
};

// The path's own slopes, per frequency: dZ/dt = a X + s E, given data and noise.
struct Slopes {
  at::Tensor a, s;
};

// All functions take times t and eigenvalues lambda >= 0 as floating-point tensors that broadcast
// against each other (for instance [N, 1, 1, 1] and [H, W]) and return their broadcast shape, or
// t's shape where the path does not depend on lambda. Logarithms are exact where A or S underflow;
// they are -inf where A or S is 0.
class SpectralPath {
 public:
  virtual ~SpectralPath() = default;

  virtual std::string name() const = 0;
  // Whether A or S depends on lambda; where not, no transform is ever needed.
  virtual bool depends_on_frequency() const { return false; }
  // The largest m of the training-time mixture that evens out the frequencies' share of the signal
  // (1 + a lambda_max for heat; 1 elsewhere).
  virtual double natural_mixture(double /*lambda_max*/) const { return 1; }
  // Where it is not 0, the path is walked from level to level only, at the times 0, 1/levels, ..,
  // 1: it is trained at these and has a sampler of its own, since its noise is not what it begins
  // with (IHDM).
  virtual std::int64_t levels() const { return 0; }

  virtual at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const = 0;
  at::Tensor log_s(const at::Tensor& t, const at::Tensor& lambda) const;

  // The standard deviation of the noise at t = 0; part of S.
  double noise_scale() const { return noise_scale_; }
  void set_noise_scale(double scale) { noise_scale_ = scale; }

  // The velocity dZ/dt = S'/S Z + (A' - A S'/S) X of the path. Its denominators are kept away from
  // 0 by t_eps: 1 - t is taken as at least t_eps in them. The default serves smooth paths: the
  // coefficients at the time min(t, 1 - t_eps).
  virtual VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& lambda,
                                        double t_eps) const;
  // A' and S' themselves, finite wherever the schedules are smooth: the target of a network that
  // predicts the velocity needs no denominator.
  virtual Slopes slopes(const at::Tensor& t, const at::Tensor& lambda) const;
  // The authors' velocity of heat dissipation, whose blur term has the coefficient c instead of a;
  // the exact velocity on every other path.
  virtual VelocityCoefficients velocity_with_blur_term(const at::Tensor& t,
                                                       const at::Tensor& lambda, double t_eps,
                                                       double c) const;
  // The coefficient c of the exact velocity (a for heat).
  virtual double exact_blur_term() const { return 0; }

 protected:
  // ln S for noise of standard deviation 1.
  virtual at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& lambda) const = 0;
  virtual at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const = 0;
  virtual at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& lambda) const = 0;

 private:
  double noise_scale_ = 1;
};

// log A - log S: grows from noise to data; its change over a step is the step's natural size.
at::Tensor log_snr(const SpectralPath& path, const at::Tensor& t, const at::Tensor& lambda);

// One level further towards the data, on a path of levels.
at::Tensor next_level(const SpectralPath& path, const at::Tensor& t);

enum class PathKind { linear, trigonometric, cosine, variance_preserving, heat, blurring, ihdm };

struct PathOptions {
  PathKind kind = PathKind::heat;
  double noise_scale = 1;           // standard deviation of the noise
  double a = 0.5;                   // heat: blur strength, pixel^2
  std::int64_t reference_size = 0;  // heat: a counts for pictures of this side; 0: for every size
  double beta_min = 0.1;            // variance preserving
  double beta_max = 20;
  double sigma_max = 20;      // blurring, ihdm: strongest blur, pixels
  double blur_floor = 0.001;  // blurring: what is left of the finest detail
  std::int64_t levels = 100;  // ihdm: levels of blur
  double sigma_min = 0.5;     // ihdm: weakest blur, pixels
  double level_noise = 0.02;  // ihdm: standard deviation of the noise at every level

  void declare(config::Options& options);
};

// The path for pictures of height x width.
std::unique_ptr<SpectralPath> make_path(const PathOptions& options, std::int64_t height,
                                        std::int64_t width);

}  // namespace calor::path
