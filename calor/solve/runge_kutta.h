// One step of an explicit Runge-Kutta method, for rows that share a time or have their own.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "calor/solve/butcher_tableau.h"

namespace calor::solve {

class RungeKutta {
 public:
  // The derivative [n, D] at times t [g, 1] and states y [n, D]. Everything is float64; g is n
  // where each row has its own time and 1 where they share it.
  using Evaluate = std::function<at::Tensor(const at::Tensor& t, const at::Tensor& y)>;

  explicit RungeKutta(const ButcherTableau& tableau)
      : tableau_(tableau), k_(tableau.stages(), at::Tensor()) {}

  // The state [n, D] after a step of size h [g, 1] from y at t, given first() = f(t, y).
  at::Tensor step(const Evaluate& f, const at::Tensor& t, const at::Tensor& h, const at::Tensor& y);
  // The embedded method's estimate of the error of that step, [n, D]. Not finite where a stage was
  // not.
  at::Tensor error(const at::Tensor& h) const;

  at::Tensor& first() { return k_.front(); }
  // f(t + h, y'), of a method with an embedded one.
  const at::Tensor& last() const { return k_.back(); }

 private:
  const ButcherTableau& tableau_;
  std::vector<at::Tensor> k_;  // stages, each [n, D]
};

}  // namespace calor::solve
