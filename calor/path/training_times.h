// When to train: the law of the time t of a training example.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "calor/config/options.h"
#include "calor/core/random.h"

namespace calor::path {

enum class TimeLaw { logit_normal, uniform, beta, square };

// logit-normal: t = sigmoid(N(mean, std^2)) (JiT). The others are laws of s = 1 - t, the time from
// data to noise: uniform; Beta(beta1, beta2); s = u^2, u uniform (for paths whose S grows like
// sqrt(s); see by_root()). With any of them a share of the examples uses t^(1/m), m log-uniform in
// [1, mixture_max], which lies nearer to the data and so lets blurred frequencies be learnt, and a
// share has s log-uniform in [1e-3, 1], so that fine scales of the data are met (for likelihoods
// from the clean prediction).
struct TimeOptions {
  TimeLaw law = TimeLaw::logit_normal;
  double mean = -0.8;
  double std = 0.8;
  double beta1 = 1;
  double beta2 = 1;
  double mixture = 0;      // share of examples with the power
  double mixture_max = 0;  // 0: the path's natural value, 1 + a lambda_max
  double near_data = 0;    // share of examples with s log-uniform

  void declare(config::Options& options);
};

class TrainingTimes {
 public:
  // `natural_mixture`: what mixture_max = 0 stands for. `levels`, where it is not 0: times are
  // brought to the nearest of 0, 1/levels, .., 1 - 1/levels towards noise, so that a uniform law is
  // uniform among these.
  TrainingTimes(const TimeOptions& options, double natural_mixture, std::int64_t levels = 0);

  // The time of the example whose stream is `key`.
  double draw(RandomKey key) const;
  // fp32 [n], below 1, where velocities may have no limit.
  at::Tensor draw(std::span<const RandomKey> keys) const;

  // Whether s = u^2. The squared error of a velocity is then to be multiplied by (ds/du)^2 = 4 s,
  // and so is that of dZ/du: along a path whose S grows like sqrt(s) it has a finite mean, while
  // that of dZ/ds has none.
  bool by_root() const { return options_.law == TimeLaw::square; }

  // Times [n] and probabilities [n] (float64, CPU) whose weighted sums are expectations over t.
  struct Quadrature {
    at::Tensor t, probability;
  };
  Quadrature quadrature() const;

 private:
  double draw_base(RandomKey key) const;
  double draw_between_levels(RandomKey key) const;
  Quadrature base_quadrature() const;

  TimeOptions options_;
  double mixture_max_;
  std::int64_t levels_;
};

}  // namespace calor::path
