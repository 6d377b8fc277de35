// One step of an explicit Runge-Kutta method, for rows that share a time or have their own.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "calor/solve/butcher_tableau.h"
#include "calor/solve/step_method.h"

namespace calor::solve {

class RungeKutta final : public StepMethod {
 public:
  explicit RungeKutta(const ButcherTableau& tableau)
      : tableau_(tableau), k_(tableau.stages(), at::Tensor()) {}

  void begin(const at::Tensor& t, const at::Tensor& slope) override;
  at::Tensor step(const Evaluate& f, const at::Tensor& t, const at::Tensor& h,
                  const at::Tensor& y) override;
  // Of an embedded pair.
  at::Tensor error(const at::Tensor& h) const override;
  int error_order() const override { return 5; }
  void keep(const at::Tensor& accepted) override;
  void select(const at::Tensor& rows) override;
  std::int64_t evaluations() const override;
  double greatest_growth() const override { return 10; }

 private:
  const ButcherTableau& tableau_;
  std::vector<at::Tensor> k_;  // stages, each [n, D]; the first is undefined until it is known
};

}  // namespace calor::solve
