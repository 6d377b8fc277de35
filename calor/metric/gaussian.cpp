#include "calor/metric/gaussian.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numbers>

#include "calor/core/error.h"
#include "calor/metric/samples.h"

namespace calor::metric {

Gaussian::Gaussian(const at::Tensor& mean, const at::Tensor& covariance) {
  const std::int64_t d = mean.numel();
  if (mean.dim() != 1 || covariance.sizes() != at::IntArrayRef({d, d})) {
    throw Error("a mean [d] and a covariance [d, d]",
                fmt::format("shapes [{}] and [{}]", fmt::join(mean.sizes(), ", "),
                            fmt::join(covariance.sizes(), ", ")),
                "give one mean and one row and column of covariances for each feature");
  }
  mean_ = as_samples(mean.unsqueeze(0), "mean of a Gaussian").squeeze(0);
  covariance_ = as_samples(covariance, "covariance of a Gaussian");
  const auto [root, info] = at::linalg_cholesky_ex(covariance_);
  const auto scale = covariance_.abs().max().item<double>();
  const auto asymmetry = (covariance_ - covariance_.t()).abs().max().item<double>();
  if (info.item<int>() != 0 || asymmetry > 1e-10 * scale) {
    throw Error("a symmetric positive definite covariance",
                info.item<int>() != 0
                    ? fmt::format("not positive at feature {}", info.item<int>() - 1)
                    : "a matrix that is not symmetric",
                "leave out columns that are constant or follow from others, or add regularisation");
  }
  root_ = root;
  log_determinant_ = 2 * root_.diagonal().log().sum().item<double>();
}

Gaussian Gaussian::fit(const at::Tensor& x, double regularisation) {
  const at::Tensor ours = as_samples(x, "training set", 2);
  const at::Tensor mean = ours.mean(0);
  const at::Tensor centred = ours - mean;
  at::Tensor covariance = at::mm(centred.t(), centred) / ours.size(0);
  covariance = (covariance + covariance.t()) / 2;
  return {mean, covariance + at::diag(regularisation * covariance.diagonal())};
}

at::Tensor Gaussian::log_density(const at::Tensor& x) const {
  const at::Tensor ours = as_samples(x, "points");
  const std::int64_t d = mean_.size(0);
  if (ours.size(1) != d) {
    throw Error(fmt::format("points of {} features, as the law has", d),
                fmt::format("{}", ours.size(1)), "give points of the space it was fitted in");
  }
  const at::Tensor white = at::linalg_solve_triangular(root_, (ours - mean_).t(), false);
  const double constant =
      static_cast<double>(d) * std::log(2 * std::numbers::pi) + log_determinant_;
  return (white.square().sum(0) + constant) * -0.5;
}

at::Tensor Gaussian::sample(std::int64_t n, RandomKey key) const {
  return at::addmm(mean_, normal_tensor(key, {n, mean_.size(0)}), root_.t());
}

double Gaussian::entropy() const {
  const auto d = static_cast<double>(mean_.size(0));
  return 0.5 * (d * std::log(2 * std::numbers::pi * std::numbers::e) + log_determinant_);
}

}  // namespace calor::metric
