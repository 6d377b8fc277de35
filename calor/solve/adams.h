// The Adams-Bashforth-Moulton methods with one evaluation a step (PEC): predict with the slopes of
// the last three steps, evaluate there, correct with that slope too. Steps may have any size.
//
// For the networks of flows, whose slope is continuous but has kinks, methods of high order gain
// nothing from their many evaluations a step; these reach the same error with about half of them.
#pragma once

#include <deque>
#include <vector>

#include "calor/solve/step_method.h"

namespace calor::solve {

// The weights w with integral from 0 to 1 of the polynomial through (u_i, f_i) = sum_i w_i f_i, for
// at most 5 different nodes u.
std::vector<double> adams_weights(const std::vector<double>& nodes);

// Local error of order 5 (corrected with four slopes) once three steps are known; the first step is
// a trapezoid on an Euler prediction, hence order 3 over an interval of equal steps. The estimate
// of the error is the difference to the corrector with one slope less. All rows share their time.
class Adams final : public StepMethod {
 public:
  void begin(const at::Tensor& t, const at::Tensor& slope) override;
  at::Tensor step(const Evaluate& f, const at::Tensor& t, const at::Tensor& h,
                  const at::Tensor& y) override;
  at::Tensor error(const at::Tensor& h) const override;
  int error_order() const override {
    // Before the first step: that of its trapezoid's estimate.
    return error_weights_.empty() ? 2 : static_cast<int>(error_weights_.size());
  }
  void keep(const at::Tensor& accepted) override;
  void select(const at::Tensor& rows) override;
  std::int64_t evaluations() const override { return 1; }
  // Variable steps are stable as long as they do not grow too fast.
  double greatest_growth() const override { return 2; }

 private:
  struct Slope {
    double t;
    at::Tensor f;  // [n, D]
  };
  at::Tensor combined(const std::vector<double>& weights) const;

  std::deque<Slope> known_;  // the newest first; that of the step's end in front, once evaluated
  bool proposed_ = false;    // whether it is there
  std::vector<double> error_weights_;
};

}  // namespace calor::solve
