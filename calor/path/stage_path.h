// The path inside one stage of a chain (local flow matching, arXiv 2410.02548): from the stage's
// left law, towards data, to its right law, which is one Ornstein-Uhlenbeck step closer to noise,
//
//     x_r = alpha x_l + beta g,   alpha = e^-(theta gamma),  beta = sqrt(1 - e^-(2 theta gamma)),
//
// or, in the last, free stage, noise itself (alpha = 0, beta = 1). theta(lambda) = 1 + rho lambda
// per frequency: with rho > 0 the process loses fine detail first (local heat dissipation flow
// matching: the heat-preconditioned OU process, for which N(0, I) is stationary, too); rho = 0 is
// local flow matching. Given x_l, the point in between is I_s = A(s) x_l + S(s) g with the same g,
// so a stage is a spectral path like any other, with t = 1 - s: s = 0 is the left end, s = 1 the
// right one.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "calor/path/spectral_path.h"

namespace calor::path {

enum class InnerPath { linear, trigonometric, ou };

// One step of a chain. All functions of lambda have its shape, or are one number where rho = 0 and
// nothing depends on the frequency.
struct StageStep {
  bool free = false;  // the last one: alpha = 0, beta = 1
  double gamma = 0;   // OU time of the step, where it is not free
  double start = 0;   // OU time at its left end: T = gamma_1 + ... + gamma_{n-1}
  double rho = 0;     // how much faster fine detail is lost, pixel^2

  at::Tensor alpha(const at::Tensor& lambda) const;
  at::Tensor beta(const at::Tensor& lambda) const;
  // The exact law at the left end given the data: x_l = kept x_0 + spread g.
  at::Tensor kept(const at::Tensor& lambda) const;
  at::Tensor spread(const at::Tensor& lambda) const;
  // theta times an OU time.
  at::Tensor dilated(double time, const at::Tensor& lambda) const;
};

//   linear          A = 1 - s (1 - alpha - sigma_min)             S = s beta
//   trigonometric   A = cos(pi s/2) + alpha sin(pi s/2)           S = beta sin(pi s/2)
//   ou              A = e^(-theta gamma s)                        S = sqrt(1 - e^(-2 theta gamma
//   s))
//
// `sigma_min` (linear only; 0 but for parity) lets the path end at x_r + sigma_min x_l. UsageError
// for `ou` in a free stage, which it would never reach.
std::unique_ptr<SpectralPath> stage_path(InnerPath inner, const StageStep& step,
                                         double sigma_min = 0);

// The same stage as a path from the data x_0 itself, on the exact law at its left end (METHODS:
// global prediction): A_tot = A kept, S_tot^2 = A^2 spread^2 + S^2. Its velocity is the same field.
// At s = 0 noise is left but in the first stage, so nothing is singular there.
std::unique_ptr<SpectralPath> global_stage_path(InnerPath inner, const StageStep& step);

// Global stages in a row as one path from noise (t = 0) to data (t = 1), each with an equal share
// of the time. log(A/S) runs on over the borders.
class ChainPath final : public SpectralPath {
 public:
  explicit ChainPath(std::vector<std::shared_ptr<const SpectralPath>> from_data);

  // The stage that owns a time, and the time in it; a border belongs to the stage towards data.
  struct Place {
    std::size_t stage = 0;
    double t = 0;
  };
  Place place(double t) const;

  std::string name() const override { return "chain of stages"; }
  bool depends_on_frequency() const override;
  at::Tensor log_a(const at::Tensor& t, const at::Tensor& lambda) const override;
  VelocityCoefficients velocity(const at::Tensor& t, const at::Tensor& lambda,
                                double t_eps) const override;

 protected:
  at::Tensor unit_log_s(const at::Tensor& t, const at::Tensor& lambda) const override;
  at::Tensor d_log_a(const at::Tensor& t, const at::Tensor& lambda) const override;
  at::Tensor d_log_s(const at::Tensor& t, const at::Tensor& lambda) const override;

 private:
  // A function of a stage's path and its own time, at each time the one of the stage that owns it.
  at::Tensor pieced(
      const at::Tensor& t,
      const std::function<at::Tensor(const SpectralPath&, const at::Tensor&)>& of) const;

  std::vector<std::shared_ptr<const SpectralPath>> from_data_;
};

}  // namespace calor::path
