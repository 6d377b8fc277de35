#include "calor/solve/ode.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "calor/solve/adams.h"
#include "calor/solve/butcher_tableau.h"
#include "calor/solve/ode_engine.h"
#include "calor/solve/runge_kutta.h"

namespace calor::solve {
namespace {

bool is_multistep(OdeMethod method) {
  return method == OdeMethod::adams || method == OdeMethod::abm;
}

void check(const at::Tensor& y0, at::ScalarType type, double t0, double t1,
           const OdeOptions& options) {
  if (y0.dim() != 2 || (type != at::kFloat && type != at::kDouble)) {
    throw Error("rows [N, D] of float32 or float64 to integrate",
                fmt::format("{} dimensions of {}", y0.dim(), c10::toString(type)),
                "give each row's state as one vector");
  }
  if (!std::isfinite(t0) || !std::isfinite(t1)) {
    throw usage_error("finite times of the differential equation", fmt::format("{} to {}", t0, t1),
                      "give the interval as two numbers");
  }
  if (options.tail < 0 || options.tail > y0.size(1)) {
    throw Error(fmt::format("a tail of 0 to {} columns", y0.size(1)),
                fmt::format("{}", options.tail), "the tail is a part of each row");
  }
  if (is_adaptive(options.method)) {
    const double least = std::min(options.rtol, options.atol);
    const double sum = options.rtol + options.atol;
    if (options.per_row && options.method == OdeMethod::adams) {
      throw usage_error("dopri5 or tsit5 for step sizes of each row", "adams",
                        "choose one of them, or leave the control of errors per row off");
    }
    if (least >= 0 && sum > 0 && std::isfinite(sum)) return;
    throw usage_error("rtol and atol of at least 0, one of them above 0",
                      fmt::format("rtol {}, atol {}", options.rtol, options.atol),
                      "the defaults are 1e-5 and 1e-5");
  }
  if (options.steps < 1) {
    throw usage_error("at least one step", fmt::format("{}", options.steps),
                      "the default is 20 steps");
  }
}

OdeSolution integrate_fixed(const OdeProblem& problem, const at::Tensor& y0) {
  const auto method = make_method(problem.options.method);
  const std::int64_t steps = problem.options.steps;
  if (steps > problem.options.max_nfe / method->evaluations()) {
    throw usage_error(fmt::format("at most {} evaluations", problem.options.max_nfe),
                      fmt::format("{} steps of {} evaluations", steps, method->evaluations()),
                      "take fewer steps or raise the limit");
  }
  const at::Tensor rows = at::arange(y0.size(0), at::kLong);
  OdeSolution solution{.y = y0, .nfe = 0, .accepted = 0, .rejected = 0, .row_nfe = {}};
  const StepMethod::Evaluate f = [&](const at::Tensor& t, const at::Tensor& y) {
    ++solution.nfe;
    return problem.evaluate(t, y, rows);
  };
  const auto column = [&](double value) { return at::full({1, 1}, value, y0.options()); };
  const at::Tensor accepted = at::ones({1, 1}, y0.options().dtype(at::kBool));
  double t = problem.t0;
  for (std::int64_t i = 1; i <= steps; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(steps);
    const double next = i == steps ? problem.t1 : std::lerp(problem.t0, problem.t1, share);
    solution.y = method->step(f, column(t), column(next - t), solution.y);
    method->keep(accepted);
    const std::int64_t bad = first_bad_row(solution.y);
    if (bad >= 0) throw not_finite(problem, "the state after the step", t, next - t, bad);
    ++solution.accepted;
    t = next;
    if (problem.observe) {
      problem.observe({.rows = rows, .t = at::full_like(rows, t, at::kDouble), .y = solution.y});
    }
  }
  return solution;
}

}  // namespace

std::string ode_method_name(OdeMethod method) { return config::name_of(ode_methods, method); }

bool is_adaptive(OdeMethod method) {
  return is_multistep(method) ? method == OdeMethod::adams : butcher_tableau(method).adaptive();
}

std::unique_ptr<StepMethod> make_method(OdeMethod method) {
  if (is_multistep(method)) return std::make_unique<Adams>();
  return std::make_unique<RungeKutta>(butcher_tableau(method));
}

at::Tensor OdeProblem::evaluate(const at::Tensor& t, const at::Tensor& y,
                                const at::Tensor& rows) const {
  // A stage's time may be rounded to just outside of the interval, where f may not be defined.
  const at::Tensor inside = t.clamp(std::min(t0, t1), std::max(t0, t1)).to(type);
  const at::Tensor slope = f(inside.squeeze(1).expand({y.size(0)}).contiguous(), y.to(type), rows);
  if (slope.sizes() != y.sizes()) {
    throw Error("a derivative of the state's shape",
                fmt::format("{} values for a state of {}", slope.numel(), y.numel()),
                "return one row per row");
  }
  return slope.to(at::kDouble);
}

std::string OdeProblem::goal() const {
  const std::string name = ode_method_name(options.method);
  const std::string how =
      is_adaptive(options.method)
          ? fmt::format("{}, rtol {:.3g}, atol {:.3g}", name, options.rtol, options.atol)
          : fmt::format("{}, {} steps", name, options.steps);
  return fmt::format("the differential equation solved from t = {:.6g} to {:.6g} ({})", t0, t1,
                     how);
}

double OdeProblem::roundoff() const {
  return type == at::kFloat ? std::numeric_limits<float>::epsilon() / 2.0
                            : std::numeric_limits<double>::epsilon() / 2.0;
}

Error not_finite(const OdeProblem& problem, const char* what, double t, double h,
                 std::int64_t row) {
  return {
      problem.goal(),
      fmt::format("NaN or infinity in {} at t = {:.6g}, step size {:.3g}, row {}", what, t, h, row),
      "check the model and that row; if they are in order, take smaller steps"};
}

std::int64_t first_bad_row(const at::Tensor& values) {
  const at::Tensor bad = at::isfinite(values).all(1).logical_not();
  return bad.any().item<bool>() ? bad.nonzero()[0][0].item<std::int64_t>() : -1;
}

OdeSolution integrate_rows(const RowDerivative& f, const at::Tensor& y0, at::ScalarType type,
                           double t0, double t1, const OdeOptions& options,
                           const ObserveStep& observe) {
  const c10::NoGradGuard no_grad;
  check(y0, type, t0, t1, options);
  const OdeProblem problem{
      .f = f, .type = type, .t0 = t0, .t1 = t1, .options = options, .observe = observe};
  const at::Tensor start = y0.to(at::kDouble);
  const std::int64_t bad = first_bad_row(start);
  if (bad >= 0) throw not_finite(problem, "the start", t0, 0, bad);
  if (start.numel() > 0 && t0 != t1) {
    return is_adaptive(options.method) ? integrate_adaptive(problem, start)
                                       : integrate_fixed(problem, start);
  }
  OdeSolution solution{.y = start, .nfe = 0, .accepted = 0, .rejected = 0, .row_nfe = {}};
  if (options.per_row) solution.row_nfe = at::zeros({start.size(0)}, at::kLong);
  return solution;
}

OdeSolution integrate(const Derivative& f, const at::Tensor& y0, double t0, double t1,
                      const OdeOptions& options, const ObserveStep& observe) {
  const RowDerivative all = [&f](const at::Tensor& t, const at::Tensor& y, const at::Tensor&) {
    return f(t, y);
  };
  OdeSolution solution = integrate_rows(all, y0, y0.scalar_type(), t0, t1, options, observe);
  solution.y = solution.y.to(y0.scalar_type());
  return solution;
}

}  // namespace calor::solve
