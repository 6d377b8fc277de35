// When a step with an estimate of its error is accepted, and how long the next one is.
#pragma once

#include <cstdint>

namespace calor::solve {

// The time and step size of one row, or of all rows together.
struct Clock {
  double t = 0;
  double h = 0;              // signed: forwards or backwards in time
  double last_error = 1e-4;  // of the last accepted step
  bool after_rejection = false;
  bool last = false;  // the step ends at the end of the interval
  std::int64_t nfe = 0;

  // Shortens or stretches (by 1 % at most) the step so that it does not pass, or just miss, `end`.
  void aim_at(double end);
  // Whether a step with this error, in units of the tolerance, is accepted; sets h for what comes
  // next, and moves t. An error that is not finite is a rejection. The error falls with the power
  // `order` of the step size, which grows at most by the factor `greatest_growth`.
  bool judge(double error, double end, int order, double greatest_growth);
};

// The first step size of a method of order `order` from norms in units of the tolerance: of the
// state, of its derivative, and of the change of the derivative over an Euler step of size h0,
// divided by h0 (Hairer, Norsett and Wanner, "Solving ordinary differential equations I", II.4).
double trial_step(double state, double derivative);  // h0
double first_step(double h0, double derivative, double second_derivative, int order);

}  // namespace calor::solve
