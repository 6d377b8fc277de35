// Mixtures of Gaussians with full covariances: a baseline of density estimation, and a law whose
// density is known, for tests and experiments.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "calor/config/options.h"
#include "calor/core/random.h"

namespace calor::metric {

// float64 on the CPU throughout; the same results on any number of threads.
class GaussianMixture {
 public:
  // weights [k], positive (normalised here), means [k, d], covariances [k, d, d]. Error where a
  // covariance is not positive definite.
  GaussianMixture(const at::Tensor& weights, const at::Tensor& means,
                  const at::Tensor& covariances);

  // ln density in nats of x [n, d]: [n]. Works in pieces.
  at::Tensor log_density(const at::Tensor& x) const;
  // [n, d]; row i depends on the key and i alone.
  at::Tensor sample(std::int64_t n, RandomKey key) const;

  const at::Tensor& weights() const { return weights_; }
  const at::Tensor& means() const { return means_; }
  const at::Tensor& covariances() const { return covariances_; }
  // [k, d, d]: inverses of the covariances' lower Cholesky roots.
  const at::Tensor& whitening() const { return whitening_; }
  // ln (weight_j N(x_i; j)), [k, n] for x [n, d].
  at::Tensor log_joint(const at::Tensor& x) const;

 private:
  at::Tensor weights_, means_, covariances_;
  at::Tensor roots_, whitening_;  // [k, d, d]
  at::Tensor log_scale_;          // [k]: ln weight - ln sqrt(det(2 pi covariance))
};

struct MixtureOptions {
  std::int64_t components = 20;
  std::int64_t restarts = 5;           // initialisations, each followed by ...
  std::int64_t short_iterations = 20;  // ... as many rounds; the best one goes on
  std::int64_t iterations = 500;       // at most, of the best
  double tolerance = 1e-6;             // stop where a round gains less, nats a row
  double regularisation = 1e-6;        // see fit_mixture

  void declare(config::Options& options);
};

struct MixtureFit {
  GaussianMixture mixture;
  // After the initialisation and after each round of the best restart, per row of x in nats: the
  // mean log-likelihood less the penalty. EM never lowers it.
  std::vector<double> objective;
  bool converged = false;
};

// Expectation maximisation on x [n, d], n > k, from greedy k-means++ (Arthur and Vassilvitskii
// 2007) and Lloyd's rounds; several short runs, the best of which continues (Biernacki et al.
// 2003). The penalty is tr(P S_j^-1)/2 for each covariance S_j, with P = regularisation (n/k)
// diag(variances of x): the M-step becomes S_j = (weighted covariance) + P/n_j, which keeps
// components from collapsing and, for regularisation = 0, is maximum likelihood. Error where a
// covariance becomes singular. 13,000 x 9 with k = 20 takes seconds.
MixtureFit fit_mixture(const at::Tensor& x, const MixtureOptions& options, RandomKey key);

}  // namespace calor::metric
