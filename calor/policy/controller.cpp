#include "calor/policy/controller.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/core/signals.h"
#include "calor/data/training_data.h"
#include "calor/flow/model_file.h"

namespace calor::policy {

std::shared_ptr<Policy> Policy::load(const std::filesystem::path& run, at::Device device,
                                     net::Precision precision) {
  const auto file = flow::model_file_of(run);
  auto model = flow::load_model(file, device);
  auto codec = data::policy_codec(model.notes, file.string());
  if (!codec) {
    throw Error("a policy: a model trained on demonstrations",
                fmt::format("{} is none", file.string()),
                "train one, for instance: calor train lfm-pusht-small");
  }
  auto policy = std::make_shared<Policy>();
  policy->sampling = solve::options_from_notes(model.notes, file.string());
  policy->flow = std::move(model.flow);
  policy->flow->set_precision(precision);
  if (device.is_cpu()) {
    for (std::size_t i = 0; i < policy->flow->size(); ++i) {
      policy->flow->stage(i).network().pack_weights();
    }
  }
  policy->codec = std::move(*codec);
  return policy;
}

namespace {

// The columns of a chunk or its noise [..., T], moved on by the executed steps, and at the end what
// `behind` gives.
at::Tensor moved_on(const at::Tensor& chunk, std::int64_t steps, const at::Tensor& behind) {
  return at::cat({chunk.narrow(-1, steps, chunk.size(-1) - steps), behind}, -1);
}

bool is_picture(const at::Tensor& picture, const data::ObservedShape& shape) {
  if (shape.count == 0) return !picture.defined();
  return picture.defined() && picture.is_cpu() && picture.scalar_type() == at::kByte &&
         picture.sizes() == at::IntArrayRef{shape.channels, shape.height, shape.width};
}

// The rows [history, ...], oldest first, move up by one and the last becomes `newest`; all of them
// where it is the first.
template <class T>
void move_up(const at::Tensor& rows, const T* newest, bool had_any) {
  auto* first = rows.data_ptr<T>();
  const std::int64_t width = rows.numel() / rows.size(0);
  auto* last = first + (rows.numel() - width);
  if (had_any) std::copy(first + width, last + width, first);
  for (auto* row = had_any ? last : first; row < last + width; row += width) {
    std::copy(newest, newest + width, row);
  }
}

}  // namespace

Controller::Controller(std::shared_ptr<const Policy> policy, const ControlOptions& options)
    : policy_(std::move(policy)), options_(options), sampling_(policy_->sampling) {
  check();
  history_ = at::zeros({policy_->codec.options.history, policy_->observation_size()}, at::kDouble);
  const data::ObservedShape& shape = policy_->pictures();
  if (shape.count > 0) {
    pictures_ = at::zeros({shape.count, shape.channels, shape.height, shape.width}, at::kByte);
  }
  last_action_.reserve(static_cast<std::size_t>(policy_->action_size()));
}

// A file may have been edited, and a Policy made by hand.
void Controller::check() const {
  const auto& o = policy_->codec.options;
  const data::ItemSpec& items = policy_->flow->items();
  const bool fits = o.history >= 1 && o.execute >= 1 && o.history + o.execute - 1 <= items.width &&
                    policy_->action_size() == items.channels &&
                    o.history * policy_->observation_size() == items.condition_width &&
                    (items.observed.count == 0 || items.observed.count == o.history);
  if (fits) return;
  throw Error(fmt::format("a policy for chunks of {} actions of {}, given {} numbers", items.width,
                          items.channels, items.condition_width),
              fmt::format("{} actions of {} after {} observations of {}, {} pictures", o.execute,
                          policy_->action_size(), o.history, policy_->observation_size(),
                          items.observed.count),
              "the model file is damaged: make it again from its run");
}

Controller Controller::load(const std::filesystem::path& run, at::Device device) {
  return Controller(Policy::load(run, device));
}

void Controller::reset(std::uint64_t seed) {
  seed_ = seed;
  observed_ = false;
  bad_observation_ = false;
  stopped_ = false;
  plan_ = at::Tensor();
  noise_ = at::Tensor();
  used_ = 0;
  last_action_.clear();
  decisions_.clear();
  error_.clear();
}

void Controller::observe(std::span<const double> observation) noexcept { observe(observation, {}); }

void Controller::observe(std::span<const double> observation, const at::Tensor& picture) noexcept {
  const auto width = static_cast<std::size_t>(history_.size(1));
  bad_observation_ =
      observation.size() != width || !is_picture(picture, policy_->pictures()) ||
      !std::ranges::all_of(observation, [](double value) { return std::isfinite(value); });
  if (bad_observation_) return;
  move_up(history_, observation.data(), observed_);
  if (pictures_.defined()) {
    const at::Tensor values = picture.contiguous();
    move_up(pictures_, values.const_data_ptr<std::uint8_t>(), observed_);
  }
  observed_ = true;
}

Action Controller::without(ActionStatus status) {
  if (options_.on_bad_observation == BadObservation::hold || status == ActionStatus::not_observed) {
    return {.status = status, .values = last_action_};
  }
  stopped_ = true;
  return {.status = status, .values = {}};
}

Action Controller::act() noexcept {
  if (stopped_) return {.status = ActionStatus::stopped, .values = {}};
  if (bad_observation_) {
    error_ = "an observation of another size, or with a number that is not finite";
    return without(ActionStatus::bad_observation);
  }
  if (!observed_) return without(ActionStatus::not_observed);
  const auto& options = policy_->codec.options;
  bool late = false;
  try {
    if (!plan_.defined() || used_ == options.execute) {
      decide();
      late = options_.budget_ms > 0 && 1e3 * decisions_.back().seconds > options_.budget_ms;
    }
    const auto* row = plan_.const_data_ptr<double>() + next_of_plan() * policy_->action_size();
    ++used_;
    last_action_.assign(row, row + policy_->action_size());
  } catch (const std::exception& error) {
    error_ = error.what();
    error_ = error_.substr(0, error_.find('\n'));  // LibTorch appends a stack trace
    plan_ = at::Tensor();
    return without(ActionStatus::failed);
  }
  return {.status = ActionStatus::decided, .values = last_action_, .late = late};
}

flow::Given Controller::given() const {
  return {
      .labels = at::zeros({1}, at::kLong),
      .condition = policy_->codec.observations.to_unit(history_).reshape({1, -1}).to(at::kFloat),
      .pictures = pictures_.defined() ? pictures_.unsqueeze(0) : pictures_};
}

solve::Start Controller::start() {
  const flow::Flow& flow = *policy_->flow;
  const RandomKey key = random_key(seed_, RandomUse::sampling_noise)
                            .child(static_cast<std::uint64_t>(decisions_.size()));
  solve::Start start = solve::start_from(flow, {key});
  const std::int64_t steps = policy_->codec.options.execute;
  if (options_.warm_start == WarmStart::noise && noise_.defined()) {
    const std::int64_t length = start.noise.size(-1);
    start.noise = moved_on(noise_, steps, start.noise.narrow(-1, length - steps, steps));
  }
  if (options_.warm_start == WarmStart::plan && plan_.defined()) {
    const at::Tensor last =
        policy_->codec.actions.to_unit(plan_).t().unsqueeze(1).unsqueeze(0).to(at::kFloat);
    const at::Tensor held = last.narrow(-1, last.size(-1) - 1, 1).expand({-1, -1, -1, steps});
    return solve::start_on_the_way(flow, moved_on(last, steps, held), std::move(start),
                                   options_.warm_depth);
  }
  noise_ = start.noise;
  return start;
}

void Controller::decide() {
  const c10::NoGradGuard no_grad;
  const auto begin = std::chrono::steady_clock::now();
  const Policy& policy = *policy_;
  const auto made = solve::generate(*policy.flow, start(), given(), sampling_);
  if (made.items.size(0) == 0) throw stopped_error("a whole plan");
  if (!at::isfinite(made.items).all().item<bool>()) {
    throw Error("a plan of finite numbers", "one that is not", "see whether the model is trained");
  }
  plan_ = policy.codec.actions.from_unit(made.items[0].squeeze(1).t().to(at::kDouble)).contiguous();
  used_ = 0;
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  decisions_.push_back({.nfe = made.nfe, .seconds = taken.count()});
}

Budget Controller::measure(std::int64_t steps, int trials) {
  reset(0);
  sampling_.solver.steps = steps;
  Budget budget{.steps = steps};
  const at::Tensor middle =
      policy_->codec.observations.from_unit(at::zeros({policy_->observation_size()}, at::kDouble));
  observe({middle.const_data_ptr<double>(), static_cast<std::size_t>(middle.numel())},
          pictures_.defined() ? pictures_[0] : pictures_);
  for (int i = 0; i <= trials; ++i) {
    plan_ = at::Tensor();  // cold
    decide();
    if (i == 0) continue;
    budget.nfe = decisions_.back().nfe;
    budget.worst_ms = std::max(budget.worst_ms, 1e3 * decisions_.back().seconds);
  }
  reset(0);
  return budget;
}

Budget Controller::fit_to_budget(double milliseconds, int trials) {
  const solve::SolverOptions& solver = sampling_.solver;
  if (solve::is_ode(solver.solver) && solve::is_adaptive(solve::ode_options(solver).method)) {
    throw Error("a solver with a number of steps, to make a decision shorter",
                fmt::format("sample.solver = {}", solve::solver_name(solver.solver)),
                "take euler or heun, say");
  }
  const std::int64_t wanted = solver.steps;
  const auto least = std::min(wanted, static_cast<std::int64_t>(policy_->flow->size()));
  Budget fits = measure(wanted, trials);
  if (fits.worst_ms > milliseconds) {
    // Bisection: `fits` does, `too_many` do not.
    std::int64_t too_many = wanted;
    fits = measure(least, trials);
    if (fits.worst_ms > milliseconds) {
      throw Error(fmt::format("a decision in {:.1f} ms", milliseconds),
                  fmt::format("{:.1f} ms with {} evaluations, the fewest", fits.worst_ms, fits.nfe),
                  "allow more time, or take a smaller network or a distilled one");
    }
    while (too_many - fits.steps > 1) {
      const Budget tried = measure((fits.steps + too_many) / 2, trials);
      if (tried.worst_ms <= milliseconds) {
        fits = tried;
      } else {
        too_many = tried.steps;
      }
    }
  }
  sampling_.solver.steps = fits.steps;
  options_.budget_ms = milliseconds;
  return fits;
}

}  // namespace calor::policy
