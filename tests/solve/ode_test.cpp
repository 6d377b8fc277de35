#include "calor/solve/ode.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/solve/adams.h"
#include "calor/solve/runge_kutta.h"

namespace calor::solve {
namespace {

constexpr OdeMethod runge_kutta[] = {OdeMethod::euler, OdeMethod::midpoint, OdeMethod::heun,
                                     OdeMethod::rk4,   OdeMethod::dopri5,   OdeMethod::tsit5};

at::Tensor normal(std::uint64_t stream, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(random_key(26, RandomUse::test).child(stream),
              std::span(out.data_ptr<double>(), static_cast<std::size_t>(out.numel())));
  return out;
}

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

// The full matrix A and vectors b, c of a tableau.
struct Dense {
  at::Tensor a, b, c, error;
};

Dense dense(OdeMethod method) {
  const ButcherTableau& tableau = butcher_tableau(method);
  const auto vector = [](std::span<const double> values) {
    at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, at::kDouble);
    std::copy(values.begin(), values.end(), out.data_ptr<double>());
    return out;
  };
  const auto n = static_cast<std::int64_t>(tableau.stages());
  Dense out{.a = at::zeros({n, n}, at::kDouble),
            .b = vector(tableau.b),
            .c = vector(tableau.c),
            .error = vector(tableau.error)};
  for (std::int64_t i = 1; i < n; ++i) {
    out.a[i].narrow(0, 0, i).copy_(vector(tableau.row(static_cast<std::size_t>(i))));
  }
  return out;
}

// The largest residual of the conditions of order `order` exactly (Hairer, Norsett and Wanner,
// II.2, table 2.2): sum_i b_i phi_i(tree) = 1 / gamma(tree) for every rooted tree with that many
// nodes.
double condition_residual(const Dense& m, const at::Tensor& b, int order) {
  const at::Tensor &a = m.a, &c = m.c;
  const at::Tensor ac = a.mv(c), acc = a.mv(c * c), aac = a.mv(ac);
  std::vector<std::pair<at::Tensor, double>> trees;
  if (order == 1) trees = {{at::ones_like(c), 1}};
  if (order == 2) trees = {{c, 2}};
  if (order == 3) trees = {{c * c, 3}, {ac, 6}};
  if (order == 4) trees = {{c.pow(3), 4}, {c * ac, 8}, {acc, 12}, {aac, 24}};
  if (order == 5) {
    trees = {{c.pow(4), 5},      {c * c * ac, 10}, {c * acc, 15},
             {c * aac, 30},      {ac * ac, 20},    {a.mv(c.pow(3)), 20},
             {a.mv(c * ac), 40}, {a.mv(acc), 60},  {a.mv(aac), 120}};
  }
  double residual = 0;
  for (const auto& [phi, gamma] : trees) {
    residual = std::max(residual, std::abs(b.dot(phi).item<double>() - 1 / gamma));
  }
  return residual;
}

TEST(ButcherTableau, OrderConditions) {
  for (const OdeMethod method : runge_kutta) {
    const ButcherTableau& tableau = butcher_tableau(method);
    const Dense m = dense(method);
    const std::string name = ode_method_name(method);
    EXPECT_LE(largest(m.a.sum(1) - m.c), 4e-15) << name;
    // The coefficients go up to 13, so 1e-14 is their rounding.
    for (int p = 1; p <= tableau.order; ++p) {
      EXPECT_LE(condition_residual(m, m.b, p), 1e-14) << name << " order " << p;
    }
    // Of no higher order than it says, up to where the conditions are listed.
    if (tableau.order < 5) {
      EXPECT_GE(condition_residual(m, m.b, tableau.order + 1), 1e-3) << name;
    }
    if (!tableau.adaptive()) continue;
    const at::Tensor embedded = m.b - m.error;
    for (int p = 1; p <= 4; ++p) {
      EXPECT_LE(condition_residual(m, embedded, p), 1e-14) << name << " embedded order " << p;
    }
    EXPECT_GE(condition_residual(m, embedded, 5), 1e-5) << name << " embedded";
    // First same as last: the last stage is taken at the new state.
    EXPECT_EQ(tableau.c.back(), 1) << name;
    EXPECT_EQ(tableau.b.back(), 0) << name;
    EXPECT_EQ(largest(m.a[-1] - m.b), 0) << name;
  }
}

// y' = y cos t and z' = -2 t z^2 have y = exp(sin t) and z = 1 / (1 + t^2).
at::Tensor two_slopes(const at::Tensor& t, const at::Tensor& y) {
  const at::Tensor time = t.view({-1});
  const at::Tensor first = y.select(1, 0), second = y.select(1, 1);
  return at::stack({first * time.cos(), -2 * time * second.square()}, 1);
}

at::Tensor two_solutions(double t) {
  return at::tensor({std::exp(std::sin(t)), 1 / (1 + t * t)}, at::kDouble).view({1, 2});
}

// The error at t = 1 of a method that takes `steps` equal steps.
double error_after(StepMethod& method, int steps) {
  at::Tensor y = two_solutions(0);
  const at::Tensor h = at::full({1, 1}, 1.0 / steps, at::kDouble);
  for (int i = 0; i < steps; ++i) {
    y = method.step(two_slopes, at::full({1, 1}, 1.0 * i / steps, at::kDouble), h, y);
    method.keep(at::ones({1, 1}, at::kBool));
  }
  return (y - two_solutions(1)).norm().item<double>();
}

// In powers of the step size, from 2^k to 2^(k+1) steps: the error falls by 2^order.
TEST(RungeKutta, ConvergesWithItsOrder) {
  for (const OdeMethod method : runge_kutta) {
    const ButcherTableau& tableau = butcher_tableau(method);
    RungeKutta coarse(tableau), fine(tableau);
    const int steps = tableau.order >= 4 ? 32 : 512;
    const double order = std::log2(error_after(coarse, steps) / error_after(fine, 2 * steps));
    EXPECT_NEAR(order, tableau.order, 0.15) << ode_method_name(method);
  }
}

// Polynomials below the number of nodes are integrated exactly, wherever the nodes lie: the sums
// have weights of up to 30, and 1e-12 is their rounding.
TEST(Adams, WeightsIntegratePolynomials) {
  const std::vector<double> nodes{1, 0, -0.7, -2.1, -2.6};
  for (std::size_t count = 1; count <= nodes.size(); ++count) {
    const auto weights = adams_weights({nodes.begin(), nodes.begin() + static_cast<int>(count)});
    for (std::size_t power = 0; power < count; ++power) {
      double sum = 0;
      for (std::size_t i = 0; i < count; ++i) {
        sum += weights[i] * std::pow(nodes[i], static_cast<double>(power));
      }
      EXPECT_NEAR(sum, 1 / (static_cast<double>(power) + 1), 1e-12) << count << " " << power;
    }
  }
  // Equal steps: the classical coefficients of Adams and Bashforth, and of Moulton.
  const auto bashforth = adams_weights({0, -1, -2});
  EXPECT_NEAR(bashforth[0], 23.0 / 12, 1e-13);
  EXPECT_NEAR(bashforth[2], 5.0 / 12, 1e-13);
  const auto moulton = adams_weights({1, 0, -1, -2});
  EXPECT_NEAR(moulton[0], 9.0 / 24, 1e-13);
  EXPECT_NEAR(moulton[3], 1.0 / 24, 1e-13);
}

TEST(Adams, ConvergesWithOrderThree) {
  Adams coarse, fine;
  EXPECT_NEAR(std::log2(error_after(coarse, 256) / error_after(fine, 512)), 3, 0.15);
}

// Once three steps are known, the local error has order 5: over an interval that begins with exact
// slopes the error falls with the fourth power. Uneven steps are no worse.
TEST(Adams, LaterStepsAreOfFourthOrder) {
  const auto column = [](double value) { return at::full({1, 1}, value, at::kDouble); };
  const auto error = [&](int steps) {
    Adams method;
    // Steps of 2/3 and 4/3 of the mean size in turn; the first two are replaced by the solution.
    const auto time = [&](int i) { return (i + (i % 2 == 0 ? 0.0 : -1.0 / 3)) / steps; };
    at::Tensor y = two_solutions(0);
    for (int i = 0; i < steps; ++i) {
      const double t = time(i), h = time(i + 1) - t;
      const auto exact_below = [&](const at::Tensor& at_time, const at::Tensor& state) {
        const bool known = i < 2;
        return two_slopes(at_time, known ? two_solutions(at_time.item<double>()) : state);
      };
      y = method.step(exact_below, column(t), column(h), y);
      if (i < 2) y = two_solutions(t + h);
      method.keep(at::ones({1, 1}, at::kBool));
    }
    return (y - two_solutions(time(steps))).norm().item<double>();
  };
  EXPECT_NEAR(std::log2(error(200) / error(400)), 4, 0.2);
}

// A rejected attempt leaves no trace: the same step again gives the same state.
TEST(Adams, RejectedStepsAreForgotten) {
  const auto column = [](double value) { return at::full({1, 1}, value, at::kDouble); };
  Adams once, twice;
  at::Tensor y = two_solutions(0), z = y;
  for (int i = 0; i < 6; ++i) {
    const double h = 0.05 * (1 + 0.2 * i), t = 0.05 * (i + 0.1 * i * (i - 1));
    y = once.step(two_slopes, column(t), column(h), y);
    once.keep(at::ones({1, 1}, at::kBool));
    twice.step(two_slopes, column(t), column(2 * h), z);
    twice.keep(at::zeros({1, 1}, at::kBool));
    z = twice.step(two_slopes, column(t), column(h), z);
    twice.keep(at::ones({1, 1}, at::kBool));
    EXPECT_TRUE(at::equal(y, z)) << i;
  }
}

TEST(Ode, FixedStepsInBothDirections) {
  for (const auto& choice : ode_methods) {
    const OdeMethod method = choice.value;
    if (is_adaptive(method)) continue;
    const OdeOptions options{.method = method, .steps = 200};
    const auto there = integrate(two_slopes, two_solutions(0), 0, 2, options);
    const auto back = integrate(two_slopes, two_solutions(2), 2, 0, options);
    const double tolerance = method == OdeMethod::euler ? 3e-2 : 1e-3;
    EXPECT_LE(largest(there.y - two_solutions(2)), tolerance) << ode_method_name(method);
    EXPECT_LE(largest(back.y - two_solutions(0)), tolerance) << ode_method_name(method);
    // One evaluation a step, and one to begin with, of the multistep method.
    const auto nfe = method == OdeMethod::abm
                         ? 201
                         : 200 * static_cast<std::int64_t>(butcher_tableau(method).stages());
    EXPECT_EQ(there.nfe, nfe) << ode_method_name(method);
    EXPECT_EQ(there.accepted, 200);
  }
}

// The global error follows the tolerance: over this interval errors are amplified less than
// tenfold, and controlled steps end within 20 times the tolerance.
TEST(Ode, AdaptiveErrorFollowsTheTolerance) {
  for (const OdeMethod method : {OdeMethod::dopri5, OdeMethod::tsit5}) {
    for (const bool per_row : {false, true}) {
      double last_nfe = 0;
      for (const double tolerance : {1e-4, 1e-6, 1e-8, 1e-10, 1e-12}) {
        const OdeOptions options{
            .method = method, .rtol = tolerance, .atol = tolerance, .per_row = per_row};
        const auto there = integrate(two_slopes, two_solutions(0), 0, 2, options);
        const auto back = integrate(two_slopes, there.y, 2, 0, options);
        EXPECT_LE(largest(there.y - two_solutions(2)), 20 * tolerance) << tolerance;
        EXPECT_LE(largest(back.y - two_solutions(0)), 40 * tolerance) << tolerance;
        // 2 for the first step, 6 for each step: the first stage is the last one's last.
        EXPECT_EQ(there.nfe, 2 + 6 * (there.accepted + there.rejected));
        EXPECT_GT(static_cast<double>(there.nfe), last_nfe);
        last_nfe = static_cast<double>(there.nfe);
      }
      EXPECT_LE(last_nfe, 2500);
    }
  }
}

// The same of the multistep method.
TEST(Ode, AdamsErrorFollowsTheTolerance) {
  double last_nfe = 0;
  for (const double tolerance : {1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8}) {
    const OdeOptions options{.method = OdeMethod::adams, .rtol = tolerance, .atol = tolerance};
    const auto there = integrate(two_slopes, two_solutions(0), 0, 2, options);
    const auto back = integrate(two_slopes, two_solutions(2), 2, 0, options);
    EXPECT_LE(largest(there.y - two_solutions(2)), 20 * tolerance) << tolerance;
    EXPECT_LE(largest(back.y - two_solutions(0)), 40 * tolerance) << tolerance;
    EXPECT_EQ(there.nfe, 2 + there.accepted + there.rejected);
    EXPECT_GT(static_cast<double>(there.nfe), last_nfe);
    last_nfe = static_cast<double>(there.nfe);
  }
  EXPECT_LE(last_nfe, 250);
  EXPECT_THROW(
      integrate(two_slopes, two_solutions(0), 0, 2, {.method = OdeMethod::adams, .per_row = true}),
      Error);
}

at::Tensor pendulum(const at::Tensor&, const at::Tensor& y) {
  return at::stack({y.select(1, 1), -5 * y.select(1, 0).sin()}, 1);
}

// With per_row a row's solution and its number of evaluations are those it has alone.
TEST(Ode, RowsDoNotDependOnTheirBatch) {
  const at::Tensor y0 = normal(1, {12, 2}) * at::linspace(0.01, 3, 12, at::kDouble).unsqueeze(1);
  const OdeOptions options{.rtol = 1e-7, .atol = 1e-7, .per_row = true};
  const auto all = integrate(pendulum, y0, 0, 3, options);
  ASSERT_EQ(all.row_nfe.numel(), 12);
  for (std::int64_t i = 0; i < 12; ++i) {
    const auto one = integrate(pendulum, y0.narrow(0, i, 1), 0, 3, options);
    EXPECT_LE(largest(one.y - all.y.narrow(0, i, 1)), 1e-12) << i;
    EXPECT_EQ(one.nfe, all.row_nfe[i].item<std::int64_t>()) << i;
    EXPECT_EQ(one.row_nfe[0].item<std::int64_t>(), one.nfe);
  }
  // The rows differ, and the last to arrive sets the number of calls.
  EXPECT_LT(all.row_nfe.min().item<std::int64_t>(), all.row_nfe.max().item<std::int64_t>());
  EXPECT_EQ(all.nfe, all.row_nfe.max().item<std::int64_t>());
  const OdeOptions exact{.rtol = 1e-12, .atol = 1e-12};
  EXPECT_LE(largest(all.y - integrate(pendulum, y0, 0, 3, exact).y), 1e-5);
}

// f is told the rows it is given, and only those still on their way.
TEST(Ode, ActiveRowsAreNamed) {
  const at::Tensor rate = at::tensor({0.1, 30.0, 1.0, 10.0}, at::kDouble);
  std::int64_t smallest = 4;
  const RowDerivative f = [&](const at::Tensor& t, const at::Tensor& y, const at::Tensor& rows) {
    EXPECT_EQ(t.numel(), y.size(0));
    EXPECT_EQ(rows.numel(), y.size(0));
    smallest = std::min(smallest, y.size(0));
    return rate.index_select(0, rows).unsqueeze(1) * at::cos(t).unsqueeze(1) * y;
  };
  const OdeOptions options{.rtol = 1e-9, .atol = 1e-9, .per_row = true};
  const auto solution =
      integrate_rows(f, at::ones({4, 1}, at::kDouble), at::kDouble, 0, 4, options);
  const at::Tensor exact = (rate * std::sin(4.0)).exp().unsqueeze(1);
  EXPECT_LE(largest(solution.y - exact), 1e-7);
  EXPECT_EQ(smallest, 1);
}

TEST(Ode, ObservesAcceptedSteps) {
  for (const bool per_row : {false, true}) {
    const OdeOptions options{.rtol = 1e-8, .atol = 1e-8, .per_row = per_row};
    std::int64_t steps = 0;
    double t = 0;
    const ObserveStep observe = [&](const OdeStep& step) {
      ++steps;
      EXPECT_GT(step.t[0].item<double>(), t);
      t = step.t[0].item<double>();
      EXPECT_LE(largest(step.y - two_solutions(t)), 1e-6);
    };
    const auto solution = integrate(two_slopes, two_solutions(0), 0, 2, options, observe);
    EXPECT_EQ(steps, solution.accepted);
    EXPECT_EQ(t, 2);
  }
}

// The last columns have a norm of their own: one bad column beside 999 idle ones keeps its error.
TEST(Ode, TailHasItsOwnNorm) {
  const Derivative f = [](const at::Tensor& t, const at::Tensor& y) {
    at::Tensor slope = at::zeros_like(y);
    slope.select(1, y.size(1) - 1).copy_((20 * t).cos() * 20);
    return slope;
  };
  const auto error = [&](std::int64_t tail) {
    const OdeOptions options{.rtol = 0, .atol = 1e-6, .tail = tail};
    const auto end = integrate(f, at::zeros({1, 1000}, at::kDouble), 0, 1, options).y;
    return std::abs(end[0][999].item<double>() - std::sin(20.0));
  };
  EXPECT_LE(error(1), 1e-6);
  EXPECT_GE(error(0), 5 * error(1));
}

// fp32: f sees fp32, the state is float64, so the result is right to the rounding of f itself.
TEST(Ode, SinglePrecision) {
  for (const bool per_row : {false, true}) {
    const OdeOptions options{.rtol = 1e-7, .atol = 1e-7, .per_row = per_row};
    const Derivative f = [](const at::Tensor& t, const at::Tensor& y) {
      EXPECT_EQ(t.scalar_type(), at::kFloat);
      EXPECT_EQ(y.scalar_type(), at::kFloat);
      return two_slopes(t, y);
    };
    const auto solution = integrate(f, two_solutions(0).to(at::kFloat), 0, 2, options);
    EXPECT_EQ(solution.y.scalar_type(), at::kFloat);
    EXPECT_LE(largest(solution.y.to(at::kDouble) - two_solutions(2)), 1e-6);
    EXPECT_LE(solution.nfe, 1000);
  }
}

TEST(Ode, NothingToDo) {
  const OdeOptions options{.per_row = true};
  EXPECT_EQ(integrate(two_slopes, at::zeros({0, 2}), 0, 1, options).y.size(0), 0);
  const auto same = integrate(two_slopes, two_solutions(0), 1, 1, options);
  EXPECT_EQ(largest(same.y - two_solutions(0)), 0);
  EXPECT_EQ(same.nfe, 0);
}

// The three parts of the Error that f leads to; empty where there is none.
std::string failure(const Derivative& f, const at::Tensor& y0, double t1,
                    const OdeOptions& options) {
  try {
    integrate(f, y0, 0, t1, options);
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty());
    return error.expected() + " | " + error.found();
  }
  return {};
}

void expect_contains(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" in: " << text;
  }
}

// x' = x^2 from 1 runs off to infinity at t = 1; the other rows, from less, later.
TEST(OdeFailure, SolutionThatBlowsUp) {
  const Derivative square = [](const at::Tensor&, const at::Tensor& y) { return y * y; };
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const at::Tensor y0 = at::tensor({0.1, 0.2, 1.0, 0.3}, at::kDouble).view({4, 1}).to(type);
    for (const OdeMethod method : {OdeMethod::dopri5, OdeMethod::tsit5}) {
      for (const bool per_row : {false, true}) {
        const OdeOptions options{.method = method, .per_row = per_row};
        const std::string text = failure(square, y0, 2, options);
        expect_contains(text, {"t = 0 to 2", "step underflow", "step size", "row 2"});
        const std::size_t at = text.find("at t = ");
        ASSERT_NE(at, std::string::npos) << text;
        EXPECT_NEAR(std::stod(text.substr(at + 7)), 1, 1e-4) << text;
      }
    }
  }
}

TEST(OdeFailure, NotANumber) {
  const at::Tensor y0 = at::ones({3, 1}, at::kDouble);
  for (const auto& choice : ode_methods) {
    const OdeMethod method = choice.value;
    const OdeOptions options{.method = method};
    const std::string name = ode_method_name(method);
    // From the start, in one row.
    const Derivative row = [](const at::Tensor&, const at::Tensor& y) {
      at::Tensor slope = y.clone();
      slope[1].fill_(NAN);
      return slope;
    };
    expect_contains(failure(row, y0, 1, options), {name.c_str(), "NaN or infinity", "row 1"});
    // From t = .5 on: the adaptive methods come as near as they can.
    const Derivative later = [](const at::Tensor& t, const at::Tensor& y) {
      return at::where((t > 0.5).unsqueeze(1), at::full_like(y, NAN), y);
    };
    expect_contains(failure(later, y0, 1, options), {"NaN or infinity", "at t = 0.", "row 0"});
    // An infinite state whose derivative is finite again.
    const Derivative bounded = [](const at::Tensor& t, const at::Tensor& y) {
      return at::where((t > 0.5).unsqueeze(1), y * INFINITY, y.clamp_max(1));
    };
    expect_contains(failure(bounded, y0, 1, options), {"NaN or infinity"});
  }
  at::Tensor start = y0.clone();
  start[2].fill_(INFINITY);
  const Derivative rest = [](const at::Tensor&, const at::Tensor& y) { return at::zeros_like(y); };
  expect_contains(failure(rest, start, 1, {}), {"the start", "row 2"});
}

TEST(OdeFailure, TooManyEvaluations) {
  const Derivative stiff = [](const at::Tensor& t, const at::Tensor& y) {
    return -1e6 * (y - t.cos().unsqueeze(1));
  };
  const at::Tensor y0 = at::zeros({2, 1}, at::kDouble);
  for (const bool per_row : {false, true}) {
    const OdeOptions options{.per_row = per_row, .max_nfe = 500};
    expect_contains(failure(stiff, y0, 1, options),
                    {"t = 0 to 1", "of at most 500 evaluations", "step size", "row 0"});
  }
  EXPECT_THROW(integrate(stiff, y0, 0, 1, {.method = OdeMethod::rk4, .max_nfe = 79}), Error);
}

// A derivative that jumps whenever it is asked has no step that is short enough.
TEST(OdeFailure, StepUnderflow) {
  double sign = 1;
  const Derivative rough = [&sign](const at::Tensor&, const at::Tensor& y) {
    sign = -sign;
    return at::full_like(y, sign * 1e14);
  };
  const std::string text = failure(rough, at::zeros({1, 1}, at::kDouble), 1, {});
  expect_contains(text, {"step underflow, the error stays above", "step size", "row 0"});
}

// A tolerance that fp32 cannot keep is refused at once, and one in absolute terms where the state
// grows out of it.
TEST(OdeFailure, ToleranceBelowTheRounding) {
  const Derivative grow = [](const at::Tensor&, const at::Tensor& y) { return y; };
  const at::Tensor y0 = at::ones({2, 1}, at::kFloat);
  for (const bool per_row : {false, true}) {
    const OdeOptions tight{.rtol = 1e-9, .atol = 1e-9, .per_row = per_row};
    expect_contains(failure(grow, y0, 1, tight), {"rounding of float32", "t = 0", "row 0"});
    const OdeOptions absolute{.rtol = 0, .atol = 1e-7, .per_row = per_row};
    expect_contains(failure(grow, y0, 4, absolute), {"rounding of float32", "row 0"});
    EXPECT_EQ(failure(grow, y0 * 1e-3, 4, absolute), "");
  }
}

TEST(OdeFailure, BadRequests) {
  const Derivative rest = [](const at::Tensor&, const at::Tensor& y) { return at::zeros_like(y); };
  const at::Tensor y0 = at::ones({2, 1}, at::kDouble);
  EXPECT_THROW(integrate(rest, at::ones({2}), 0, 1, {}), Error);
  EXPECT_THROW(integrate(rest, at::ones({2, 1}, at::kLong), 0, 1, {}), Error);
  EXPECT_THROW(integrate(rest, y0, 0, INFINITY, {}), Error);
  EXPECT_THROW(integrate(rest, y0, 0, 1, {.rtol = 0, .atol = 0}), Error);
  EXPECT_THROW(integrate(rest, y0, 0, 1, {.rtol = NAN}), Error);
  EXPECT_THROW(integrate(rest, y0, 0, 1, {.tail = 2}), Error);
  EXPECT_THROW(integrate(rest, y0, 0, 1, {.method = OdeMethod::rk4, .steps = 0}), Error);
  const Derivative wrong = [](const at::Tensor&, const at::Tensor& y) { return y.sum(1); };
  EXPECT_THROW(integrate(wrong, y0, 0, 1, {}), Error);
}

}  // namespace
}  // namespace calor::solve
