// When to train: the law of the time t of a training example.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "calor/config/options.h"
#include "calor/core/random.h"

namespace calor::path {

// t = sigmoid(N(mean, std^2)) (JiT); a share of the examples uses t^(1/m), m log-uniform in
// [1, mixture_max], which lies nearer to the data and so lets blurred frequencies be learnt.
struct TimeOptions {
  double mean = -0.8;
  double std = 0.8;
  double mixture = 0;      // share of examples with the power
  double mixture_max = 0;  // 0: the path's natural value, 1 + a lambda_max

  void declare(config::Options& options);
};

class TrainingTimes {
 public:
  // `natural_mixture`: what mixture_max = 0 stands for.
  TrainingTimes(const TimeOptions& options, double natural_mixture);

  // The time of the example whose stream is `key`.
  double draw(RandomKey key) const;
  // fp32 [n].
  at::Tensor draw(std::span<const RandomKey> keys) const;

  // Times [n] and probabilities [n] (float64, CPU) whose weighted sums are expectations over t.
  struct Quadrature {
    at::Tensor t, probability;
  };
  Quadrature quadrature() const;

 private:
  TimeOptions options_;
  double mixture_max_;
};

}  // namespace calor::path
