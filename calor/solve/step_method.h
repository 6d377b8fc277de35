// One step of a method for ordinary differential equations, as the integration takes it: a
// Runge-Kutta method, or a multistep method, which remembers the steps before.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace calor::solve {

class StepMethod {
 public:
  // The derivative [n, D] at times t [g, 1] and states y [n, D]. Everything is float64; g is n
  // where each row has its own time and 1 where they share it.
  using Evaluate = std::function<at::Tensor(const at::Tensor& t, const at::Tensor& y)>;

  virtual ~StepMethod() = default;

  // Tells f(t, y) of the first step, where it is known already.
  virtual void begin(const at::Tensor& t, const at::Tensor& slope) = 0;
  // The state [n, D] after a step of size h [g, 1] from y at t.
  virtual at::Tensor step(const Evaluate& f, const at::Tensor& t, const at::Tensor& h,
                          const at::Tensor& y) = 0;
  // The estimated error of that step, [n, D]; not finite where an evaluation was not. It falls with
  // the power error_order() of the step size.
  virtual at::Tensor error(const at::Tensor& h) const = 0;
  virtual int error_order() const = 0;
  // The next step starts where that one ended, in the rows where `accepted` [g, 1] is true.
  virtual void keep(const at::Tensor& accepted) = 0;
  // Keeps these rows [m] only.
  virtual void select(const at::Tensor& rows) = 0;

  // Of a step, the first evaluation of all aside where the method needs one.
  virtual std::int64_t evaluations() const = 0;
  // By which factor a step may at most be longer than the one before.
  virtual double greatest_growth() const = 0;
};

}  // namespace calor::solve
