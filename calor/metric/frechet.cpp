#include "calor/metric/frechet.h"

#include <ATen/ATen.h>

#include <cmath>
#include <tuple>

#include "calor/metric/bootstrap.h"
#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

// A cloud as the Gaussian that it is taken for.
struct Moments {
  at::Tensor mean;  // [d]
  at::Tensor root;  // [min(n, d), d]: root^T root is the covariance
};

Moments moments_of(const at::Tensor& x) {
  const at::Tensor mean = x.mean(0);
  const at::Tensor centred = (x - mean) / std::sqrt(static_cast<double>(x.size(0) - 1));
  if (x.size(0) <= x.size(1)) return {.mean = mean, .root = centred};
  return {.mean = mean, .root = std::get<1>(at::linalg_qr(centred, "r"))};
}

// With C_a = A^T A and C_b = B^T B, the eigenvalues of C_a C_b are the squared singular values of A
// B^T (and zeros). No covariance is formed: those of fewer samples than features have so many equal
// eigenvalues that LAPACK does not always find them.
double distance_between(const Moments& a, const Moments& b) {
  const at::Tensor cross = at::linalg_svdvals(at::mm(a.root, b.root.t())).sum();
  const at::Tensor distance =
      (a.mean - b.mean).square().sum() + a.root.square().sum() + b.root.square().sum() - 2 * cross;
  return distance.item<double>();
}

}  // namespace

double frechet_distance(const at::Tensor& a, const at::Tensor& b) {
  const SamplePair set = as_sample_pair(a, b, 2);
  return distance_between(moments_of(set.a), moments_of(set.b));
}

double frechet_standard_error(const at::Tensor& a, const at::Tensor& b, RandomKey key,
                              std::int64_t resamples) {
  const SamplePair set = as_sample_pair(a, b, 2);
  const Moments reference = moments_of(set.b);
  const auto distance = [&](const at::Tensor& rows) {
    return distance_between(moments_of(set.a.index_select(0, rows)), reference);
  };
  return bootstrap_standard_error(set.a.size(0), key, distance, resamples);
}

}  // namespace calor::metric
