// Integration with error control: one clock for all rows, or one for each.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/solve/ode_engine.h"

namespace calor::solve {
namespace {

class Adaptive {
 public:
  Adaptive(const OdeProblem& problem, const at::Tensor& y0);
  OdeSolution run();

 private:
  void choose_first_steps();
  void attempt();
  void keep(const at::Tensor& accepted, const at::Tensor& next);
  void retire(const std::vector<bool>& accepted);
  void observe(const std::vector<bool>& accepted) const;
  void require_possible(const Clock& clock, std::size_t index) const;
  void require_resolved() const;

  at::Tensor evaluate(const at::Tensor& t, const at::Tensor& y);
  std::vector<double> norms(const at::Tensor& values, const at::Tensor& scale);
  at::Tensor column(double Clock::*member) const;
  std::int64_t worst_row(std::size_t clock) const;

  const OdeProblem& problem_;
  const OdeOptions& options_;
  std::unique_ptr<StepMethod> method_;
  double floor_;               // the shortest step: a few spacings of the times that f sees
  at::Tensor y_;               // [n, D]: the rows still on their way
  at::Tensor rows_;            // [n]: which these are
  std::vector<Clock> clocks_;  // 1, or n with per_row
  at::Tensor row_errors_;      // [n]: of the last attempt, squared and in units of the tolerance
  OdeSolution solution_;
};

Adaptive::Adaptive(const OdeProblem& problem, const at::Tensor& y0)
    : problem_(problem),
      options_(problem.options),
      method_(make_method(problem.options.method)),
      floor_(8 * problem.roundoff() * std::max(std::abs(problem.t0), std::abs(problem.t1))),
      y_(y0),
      rows_(at::arange(y0.size(0), at::kLong)),
      clocks_(options_.per_row ? static_cast<std::size_t>(y0.size(0)) : 1) {
  for (Clock& clock : clocks_) clock.t = problem.t0;
  solution_.y = at::empty_like(y0);
  if (options_.per_row) solution_.row_nfe = at::zeros({y0.size(0)}, at::kLong);
}

at::Tensor Adaptive::evaluate(const at::Tensor& t, const at::Tensor& y) {
  ++solution_.nfe;
  for (Clock& clock : clocks_) ++clock.nfe;
  return problem_.evaluate(t, y, rows_);
}

// t or h of the clocks, [1 or n, 1], where the state lives.
at::Tensor Adaptive::column(double Clock::*member) const {
  at::Tensor values = at::empty({static_cast<std::int64_t>(clocks_.size()), 1}, at::kDouble);
  auto* out = values.data_ptr<double>();
  for (const Clock& clock : clocks_) *out++ = clock.*member;
  return values.to(y_.device());
}

// The root mean square of values / scale, [n, D], for each clock.
std::vector<double> Adaptive::norms(const at::Tensor& values, const at::Tensor& scale) {
  const at::Tensor squares = (values / scale).square_();
  const std::int64_t body = squares.size(1) - options_.tail;
  std::vector<at::Tensor> groups;
  if (body > 0) groups.push_back(squares.narrow(1, 0, body).mean(1));
  if (options_.tail > 0) groups.push_back(squares.narrow(1, body, options_.tail).mean(1));
  const at::Tensor each = at::stack(groups, 1);  // [n, 1 or 2]
  row_errors_ = each.amax(1);
  const at::Tensor of_clocks =
      (options_.per_row ? row_errors_ : each.mean(0).amax().view({1})).sqrt().cpu();
  const double* data = of_clocks.data_ptr<double>();
  return {data, data + of_clocks.numel()};
}

std::int64_t Adaptive::worst_row(std::size_t clock) const {
  if (options_.per_row) return rows_[static_cast<std::int64_t>(clock)].item<std::int64_t>();
  return row_errors_.nan_to_num(INFINITY).argmax().item<std::int64_t>();
}

void Adaptive::choose_first_steps() {
  const at::Tensor first = evaluate(column(&Clock::t), y_);
  method_->begin(column(&Clock::t), first);
  const std::int64_t bad = first_bad_row(first);
  if (bad >= 0) throw not_finite(problem_, "the derivative", problem_.t0, 0, bad);
  const double length = std::abs(problem_.t1 - problem_.t0);
  const double shortest = std::min(length, 2 * floor_);
  const double direction = problem_.t1 > problem_.t0 ? 1 : -1;
  const at::Tensor scale = y_.abs().mul_(options_.rtol).add_(options_.atol).clamp_min_(1e-300);
  const auto state = norms(y_, scale);
  const auto slope = norms(first, scale);
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    clocks_[i].h = direction * std::clamp(trial_step(state[i], slope[i]), shortest, length);
  }
  const at::Tensor h = column(&Clock::h);
  const at::Tensor there = evaluate(column(&Clock::t) + h, y_ + h * first);
  const auto change = norms((there - first) / h, scale);
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    const double size =
        first_step(std::abs(clocks_[i].h), slope[i], change[i], method_->error_order());
    clocks_[i].h = direction * std::clamp(size, shortest, length);
  }
}

void Adaptive::require_possible(const Clock& clock, std::size_t index) const {
  const auto found = [&](const std::string& why) {
    return fmt::format("{} at t = {:.6g}, step size {:.3g}, row {}", why, clock.t, clock.h,
                       worst_row(index));
  };
  if (std::abs(clock.h) < floor_ && !clock.last) {
    const bool finite = at::isfinite(row_errors_).all().item<bool>();
    throw Error(problem_.goal(),
                found(finite ? "step underflow, the error stays above the tolerance"
                             : "step underflow, NaN or infinity in the derivative or the state"),
                "the solution may run off to infinity there: check the model and that row, loosen "
                "rtol and atol, raise t_eps, take dopri5, or use float64");
  }
  if (clock.nfe + method_->evaluations() > options_.max_nfe) {
    throw Error(
        problem_.goal(),
        found(fmt::format("{} of at most {} evaluations used up", clock.nfe, options_.max_nfe)),
        "the equation is stiff or the tolerance too tight: loosen rtol and atol, raise the "
        "limit, or take fixed steps");
  }
}

// A tolerance below the rounding of the state that f sees cannot be kept, whatever the estimate.
void Adaptive::require_resolved() const {
  if (options_.rtol >= problem_.roundoff()) return;
  const at::Tensor excess =
      (y_.abs() * (problem_.roundoff() - options_.rtol)).amax(1) - options_.atol;
  const at::Tensor worst = excess.argmax();
  if (excess.amax().item<double>() <= 0) return;
  const auto index = static_cast<std::size_t>(worst.item<std::int64_t>());
  const Clock& clock = clocks_[options_.per_row ? index : 0];
  throw Error(
      problem_.goal(),
      fmt::format("a tolerance below the rounding of {} (rtol {:.1g}) at t = {:.6g}, step "
                  "size {:.3g}, row {}",
                  problem_.type == at::kFloat ? "float32" : "float64", problem_.roundoff(), clock.t,
                  clock.h, rows_[static_cast<std::int64_t>(index)].item<std::int64_t>()),
      "loosen rtol or atol, or use float64");
}

void Adaptive::attempt() {
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    clocks_[i].aim_at(problem_.t1);
    require_possible(clocks_[i], i);
  }
  const at::Tensor h = column(&Clock::h);
  const auto f = [this](const at::Tensor& t, const at::Tensor& y) { return evaluate(t, y); };
  const at::Tensor next = method_->step(f, column(&Clock::t), h, y_);
  const at::Tensor scale =
      at::maximum(y_.abs(), next.abs()).mul_(options_.rtol).add_(options_.atol).clamp_min_(1e-300);
  // 0 next is 0, or NaN where a state is infinite, whose relative error would seem to be 0.
  const auto errors = norms(method_->error(h).add_(0 * next), scale);

  const int order = method_->error_order();
  std::vector<bool> accepted(clocks_.size());
  at::Tensor mask = at::empty({static_cast<std::int64_t>(clocks_.size()), 1}, at::kBool);
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    accepted[i] = clocks_[i].judge(errors[i], problem_.t1, order, method_->greatest_growth());
    mask.data_ptr<bool>()[i] = accepted[i];
    ++(accepted[i] ? solution_.accepted : solution_.rejected);
  }
  keep(mask.to(y_.device()), next);
  if (std::find(accepted.begin(), accepted.end(), true) == accepted.end()) return;
  require_resolved();
  if (problem_.observe) observe(accepted);
  retire(accepted);
}

// Moves the rows whose step was accepted [1 or n, 1] to `next`, with the derivative there.
void Adaptive::keep(const at::Tensor& accepted, const at::Tensor& next) {
  y_ = at::where(accepted, next, y_);
  method_->keep(accepted);
}

void Adaptive::observe(const std::vector<bool>& accepted) const {
  if (!options_.per_row) {
    const at::Tensor t = at::full_like(rows_, clocks_[0].t, at::kDouble);
    problem_.observe({.rows = rows_, .t = t, .y = y_});
    return;
  }
  std::vector<std::int64_t> moved;
  for (std::size_t i = 0; i < accepted.size(); ++i) {
    if (accepted[i]) moved.push_back(static_cast<std::int64_t>(i));
  }
  const at::Tensor index = at::tensor(moved, at::kLong);
  problem_.observe({.rows = rows_.index_select(0, index),
                    .t = column(&Clock::t).cpu().squeeze(1).index_select(0, index),
                    .y = y_.index_select(0, index.to(y_.device()))});
}

// Takes the rows that have arrived out of the batch.
void Adaptive::retire(const std::vector<bool>& accepted) {
  std::vector<std::int64_t> arrived, others;
  std::vector<Clock> clocks;
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    const bool there = accepted[i] && clocks_[i].t == problem_.t1;
    (there ? arrived : others).push_back(static_cast<std::int64_t>(i));
    if (!there) clocks.push_back(clocks_[i]);
  }
  if (arrived.empty()) return;
  if (!options_.per_row) {
    solution_.y = y_;
    clocks_.clear();
    return;
  }
  const at::Tensor out = at::tensor(arrived, at::kLong);
  const at::Tensor out_rows = rows_.index_select(0, out);
  solution_.y.index_copy_(0, out_rows.to(y_.device()), y_.index_select(0, out.to(y_.device())));
  for (const std::int64_t i : arrived) {
    solution_.row_nfe[rows_[i].item<std::int64_t>()] = clocks_[static_cast<std::size_t>(i)].nfe;
  }
  const at::Tensor in = at::tensor(others, at::kLong);
  rows_ = rows_.index_select(0, in);
  y_ = y_.index_select(0, in.to(y_.device()));
  method_->select(in.to(y_.device()));
  clocks_ = std::move(clocks);
}

OdeSolution Adaptive::run() {
  require_resolved();
  choose_first_steps();
  while (!clocks_.empty()) attempt();
  return solution_;
}

}  // namespace

OdeSolution integrate_adaptive(const OdeProblem& problem, const at::Tensor& y0) {
  return Adaptive(problem, y0).run();
}

}  // namespace calor::solve
