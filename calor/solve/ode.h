// Ordinary differential equations of rows, dy/dt = f(t, y): fixed steps, or steps with error
// control, by embedded pairs of order 5(4) or by a multistep method. What cannot be solved ends in
// an Error that names the time, the step size and the row, never in a state that is wrong without a
// word.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "calor/config/options.h"

namespace calor::solve {

enum class OdeMethod { euler, midpoint, heun, rk4, abm, dopri5, tsit5, adams };

// The names a person writes.
inline constexpr config::Choice<OdeMethod> ode_methods[] = {
    {"dopri5", OdeMethod::dopri5, "Dormand-Prince, order 5(4), adaptive"},
    {"tsit5", OdeMethod::tsit5, "Tsitouras, order 5(4), adaptive"},
    {"adams", OdeMethod::adams, "Adams-Bashforth-Moulton, one evaluation a step, adaptive"},
    {"abm", OdeMethod::abm, "the same, order 3, fixed steps"},
    {"rk4", OdeMethod::rk4, "classical, order 4, fixed steps"},
    {"heun", OdeMethod::heun, "trapezoid, order 2, fixed steps"},
    {"midpoint", OdeMethod::midpoint, "midpoint, order 2, fixed steps"},
    {"euler", OdeMethod::euler, "order 1, fixed steps"},
};

std::string ode_method_name(OdeMethod method);
bool is_adaptive(OdeMethod method);

struct OdeOptions {
  OdeMethod method = OdeMethod::dopri5;
  // dopri5, tsit5, adams: a step is accepted if the root mean square of error / (atol + rtol |y|)
  // over all rows and components is at most 1.
  double rtol = 1e-5;
  double atol = 1e-5;
  std::int64_t steps = 20;         // of the other methods
  bool per_row = false;            // dopri5, tsit5: each row has its own step sizes
  std::int64_t max_nfe = 100'000;  // evaluations, of a row with per_row
  // The last `tail` columns have an error norm of their own, and the larger of both counts: a
  // log-determinant beside many coordinates is not lost in their mean.
  std::int64_t tail = 0;
};

struct OdeSolution {
  at::Tensor y;               // [N, D]
  std::int64_t nfe = 0;       // calls of f
  std::int64_t accepted = 0;  // steps; with per_row summed over the rows
  std::int64_t rejected = 0;
  at::Tensor row_nfe;  // [N] int64: evaluations that each row took part in; with per_row only
};

// f(t [n], y [n, D]) -> [n, D], all of one type. n is the number of rows, or with per_row of those
// that have not arrived yet.
using Derivative = std::function<at::Tensor(const at::Tensor& t, const at::Tensor& y)>;
// The same, told which rows these are: [n] int64 on the CPU.
using RowDerivative =
    std::function<at::Tensor(const at::Tensor& t, const at::Tensor& y, const at::Tensor& rows)>;

// What an accepted step led to.
struct OdeStep {
  at::Tensor rows;  // [n] int64 on the CPU
  at::Tensor t;     // [n] float64 on the CPU
  at::Tensor y;     // [n, D] float64
};
using ObserveStep = std::function<void(const OdeStep& step)>;

// y(t1) for y(t0) = y0 [N, D], fp32 or float64, forwards or backwards in time. f sees y0's type;
// the state, the times and the error control are float64 throughout, so that small steps of an fp32
// field add up without loss. Tolerances below the rounding of f's own input are refused.
OdeSolution integrate(const Derivative& f, const at::Tensor& y0, double t0, double t1,
                      const OdeOptions& options, const ObserveStep& observe = {});

// The same with y0 and the result in float64, and f in `type`.
OdeSolution integrate_rows(const RowDerivative& f, const at::Tensor& y0, at::ScalarType type,
                           double t0, double t1, const OdeOptions& options,
                           const ObserveStep& observe = {});

}  // namespace calor::solve
