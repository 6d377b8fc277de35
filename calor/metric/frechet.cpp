#include "calor/metric/frechet.h"

#include <ATen/ATen.h>

#include "calor/metric/bootstrap.h"
#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

struct Moments {
  at::Tensor mean, covariance;
};

Moments moments_of(const at::Tensor& x) {
  const at::Tensor mean = x.mean(0);
  const at::Tensor centred = x - mean;
  return {.mean = mean, .covariance = at::mm(centred.t(), centred) / (x.size(0) - 1)};
}

// The symmetric root of a positive semi-definite matrix; eigenvalues below 0 are rounding.
at::Tensor root(const at::Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::mm(vectors * values.clamp_min(0).sqrt(), vectors.t());
}

// To clouds from one, whose root is taken once.
class DistanceFrom {
 public:
  explicit DistanceFrom(const at::Tensor& x)
      : ours_(moments_of(x)), root_(root(ours_.covariance)) {}

  double to(const at::Tensor& x) const {
    const Moments theirs = moments_of(x);
    // tr (C_a C_b)^(1/2) = tr (R C_b R)^(1/2), R = C_a^(1/2), which is symmetric.
    const at::Tensor product = at::mm(at::mm(root_, theirs.covariance), root_);
    const at::Tensor cross =
        at::linalg_eigvalsh((product + product.t()) / 2).clamp_min(0).sqrt().sum();
    const at::Tensor distance = (ours_.mean - theirs.mean).square().sum() +
                                ours_.covariance.trace() + theirs.covariance.trace() - 2 * cross;
    return distance.item<double>();
  }

 private:
  Moments ours_;
  at::Tensor root_;
};

}  // namespace

double frechet_distance(const at::Tensor& a, const at::Tensor& b) {
  const SamplePair set = as_sample_pair(a, b, 2);
  return DistanceFrom(set.a).to(set.b);
}

double frechet_standard_error(const at::Tensor& a, const at::Tensor& b, RandomKey key,
                              std::int64_t resamples) {
  const SamplePair set = as_sample_pair(a, b, 2);
  const DistanceFrom reference(set.b);
  const auto distance = [&](const at::Tensor& rows) {
    return reference.to(set.a.index_select(0, rows));
  };
  return bootstrap_standard_error(set.a.size(0), key, distance, resamples);
}

}  // namespace calor::metric
