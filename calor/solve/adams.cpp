#include "calor/solve/adams.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace calor::solve {
namespace {

constexpr std::size_t predictor_slopes = 3;

// Gauss-Legendre on [0, 1], exact up to degree 5.
constexpr double gauss_nodes[] = {0.1127016653792583, 0.5, 0.8872983346207417};
constexpr double gauss_weights[] = {5.0 / 18, 4.0 / 9, 5.0 / 18};

}  // namespace

std::vector<double> adams_weights(const std::vector<double>& nodes) {
  std::vector<double> weights(nodes.size(), 0);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t q = 0; q < std::size(gauss_nodes); ++q) {
      double basis = 1;  // of Lagrange
      for (std::size_t j = 0; j < nodes.size(); ++j) {
        if (j != i) basis *= (gauss_nodes[q] - nodes[j]) / (nodes[i] - nodes[j]);
      }
      weights[i] += gauss_weights[q] * basis;
    }
  }
  return weights;
}

void Adams::begin(const at::Tensor& t, const at::Tensor& slope) {
  known_ = {{.t = t.item<double>(), .f = slope}};
  proposed_ = false;
}

at::Tensor Adams::combined(const std::vector<double>& weights) const {
  at::Tensor sum = known_[0].f * weights[0];
  for (std::size_t i = 1; i < weights.size(); ++i) sum.add_(known_[i].f, weights[i]);
  return sum;
}

at::Tensor Adams::step(const Evaluate& f, const at::Tensor& t, const at::Tensor& h,
                       const at::Tensor& y) {
  if (known_.empty()) begin(t, f(t, y));
  if (proposed_) known_.pop_front();  // of an attempt that was rejected
  proposed_ = false;
  const double start = t.item<double>(), size = h.item<double>();
  const auto nodes = [&] {
    std::vector<double> u;
    for (const Slope& slope : known_) u.push_back((slope.t - start) / size);
    return u;
  };
  const at::Tensor predicted = combined(adams_weights(nodes())).mul_(h).add_(y);
  known_.push_front({.t = start + size, .f = f(t + h, predicted)});
  proposed_ = true;

  const std::vector<double> all = nodes();
  const std::vector<double> weights = adams_weights(all);
  error_weights_ = adams_weights({all.begin(), all.end() - 1});
  error_weights_.push_back(0);
  std::ranges::transform(weights, error_weights_, error_weights_.begin(), std::minus<>());
  return combined(weights).mul_(h).add_(y);
}

at::Tensor Adams::error(const at::Tensor& h) const { return combined(error_weights_).mul_(h); }

void Adams::keep(const at::Tensor& accepted) {
  if (!accepted.item<bool>()) return;
  proposed_ = false;
  if (known_.size() > predictor_slopes) known_.pop_back();
}

void Adams::select(const at::Tensor& rows) {
  for (Slope& slope : known_) slope.f = slope.f.index_select(0, rows);
}

}  // namespace calor::solve
