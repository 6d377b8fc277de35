// Coefficients of the explicit Runge-Kutta methods.
#pragma once

#include <span>

#include "calor/solve/ode.h"

namespace calor::solve {

// k_i = f(t + c_i h, y + h sum_j<i a_ij k_j),  y' = y + h sum_i b_i k_i.
struct ButcherTableau {
  int order = 0;
  std::span<const double> c;
  std::span<const double> a;  // rows 1, 2, .. of the strictly lower triangle, one after the other
  std::span<const double> b;
  // b minus the weights of the embedded method of order 4; empty where there is none. A method with
  // an embedded one ends with the stage f(t + h, y'), which is the first stage of the next step.
  std::span<const double> error;

  std::size_t stages() const { return c.size(); }
  bool adaptive() const { return !error.empty(); }
  // a_i0 .. a_i,i-1
  std::span<const double> row(std::size_t i) const { return a.subspan(i * (i - 1) / 2, i); }
};

// Of a Runge-Kutta method: any but adams and abm.
const ButcherTableau& butcher_tableau(OdeMethod method);

}  // namespace calor::solve
