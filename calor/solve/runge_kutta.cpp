#include "calor/solve/runge_kutta.h"

#include <ATen/ATen.h>

namespace calor::solve {
namespace {

// y + h sum_j weights_j k_j
at::Tensor advance(const at::Tensor& y, const at::Tensor& h, std::span<const double> weights,
                   const std::vector<at::Tensor>& k) {
  at::Tensor sum = k[0] * weights[0];
  for (std::size_t j = 1; j < weights.size(); ++j) {
    if (weights[j] != 0) sum.add_(k[j], weights[j]);
  }
  return sum.mul_(h).add_(y);
}

}  // namespace

void RungeKutta::begin(const at::Tensor& /*t*/, const at::Tensor& slope) { k_.front() = slope; }

at::Tensor RungeKutta::step(const Evaluate& f, const at::Tensor& t, const at::Tensor& h,
                            const at::Tensor& y) {
  if (!k_.front().defined()) k_.front() = f(t, y);
  at::Tensor state = y;
  for (std::size_t i = 1; i < tableau_.stages(); ++i) {
    state = advance(y, h, tableau_.row(i), k_);
    k_[i] = f(at::add(t, h, tableau_.c[i]), state);
  }
  return tableau_.adaptive() ? state : advance(y, h, tableau_.b, k_);
}

at::Tensor RungeKutta::error(const at::Tensor& h) const {
  at::Tensor sum = k_[0] * tableau_.error[0];
  // Weights of 0 stay in, so that a stage that is not finite is seen.
  for (std::size_t j = 1; j < k_.size(); ++j) sum.add_(k_[j], tableau_.error[j]);
  return sum.mul_(h);
}

// The last stage of an embedded pair is the first one of the next step.
void RungeKutta::keep(const at::Tensor& accepted) {
  if (tableau_.adaptive()) {
    k_.front() = at::where(accepted, k_.back(), k_.front());
  } else {
    k_.front() = at::Tensor();
  }
}

void RungeKutta::select(const at::Tensor& rows) { k_.front() = k_.front().index_select(0, rows); }

std::int64_t RungeKutta::evaluations() const {
  return static_cast<std::int64_t>(tableau_.stages()) - (tableau_.adaptive() ? 1 : 0);
}

}  // namespace calor::solve
