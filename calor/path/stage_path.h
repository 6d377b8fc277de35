// The path inside one stage of a chain (local flow matching, arXiv 2410.02548): from the stage's
// left law, towards data, to its right law, which is one Ornstein-Uhlenbeck step closer to noise,
//
//     x_r = alpha x_l + beta g,   alpha = e^-gamma,  beta = sqrt(1 - e^-2 gamma),
//
// or, in the last, free stage, noise itself (alpha = 0, beta = 1). Given x_l, the point in between
// is I_s = A(s) x_l + S(s) g with the same g, so a stage is a spectral path like any other, with
// t = 1 - s: s = 0 is the left end, s = 1 the right one.
#pragma once

#include <memory>

#include "calor/path/spectral_path.h"

namespace calor::path {

enum class InnerPath { linear, trigonometric, ou };

// One step of a chain.
struct StageStep {
  bool free = false;  // the last one: alpha = 0, beta = 1
  double gamma = 0;   // OU time of the step, where it is not free
  double start = 0;   // OU time at its left end: T = gamma_1 + ... + gamma_{n-1}

  double alpha() const;
  double beta() const;
  // The exact law at the left end given the data: x_l = kept x_0 + spread g.
  double kept() const;
  double spread() const;
};

//   linear          A = 1 - s (1 - alpha - sigma_min)             S = s beta
//   trigonometric   A = cos(pi s/2) + alpha sin(pi s/2)           S = beta sin(pi s/2)
//   ou              A = e^(-gamma s)                              S = sqrt(1 - e^(-2 gamma s))
//
// `sigma_min` (linear only; 0 but for parity) lets the path end at x_r + sigma_min x_l. UsageError
// for `ou` in a free stage, which it would never reach.
std::unique_ptr<SpectralPath> stage_path(InnerPath inner, const StageStep& step,
                                         double sigma_min = 0);

}  // namespace calor::path
