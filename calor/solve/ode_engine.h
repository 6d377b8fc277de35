// What the fixed-step and the adaptive integration share: the evaluation of f in its own type,
// and the errors.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "calor/core/error.h"
#include "calor/solve/ode.h"
#include "calor/solve/step_control.h"
#include "calor/solve/step_method.h"

namespace calor::solve {

struct OdeProblem {
  const RowDerivative& f;
  at::ScalarType type = at::ScalarType::Double;  // of what f sees
  double t0 = 0;
  double t1 = 0;
  const OdeOptions& options;
  const ObserveStep& observe;

  // f at t [g, 1] (g = 1: the same for all rows) and y [n, D], float64 in and out.
  at::Tensor evaluate(const at::Tensor& t, const at::Tensor& y, const at::Tensor& rows) const;
  // "to reach t = .. from t = .. with dopri5 (rtol .., atol ..)"
  std::string goal() const;
  // The unit roundoff of what f sees.
  double roundoff() const;
};

// A number that is NaN or infinite: of the state or of the derivative, as `what` says.
Error not_finite(const OdeProblem& problem, const char* what, double t, double h, std::int64_t row);
// The first row of values [n, D] that is not finite; -1 where there is none.
std::int64_t first_bad_row(const at::Tensor& values);

std::unique_ptr<StepMethod> make_method(OdeMethod method);

OdeSolution integrate_adaptive(const OdeProblem& problem, const at::Tensor& y0);

}  // namespace calor::solve
