#include "calor/policy/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "calor/core/error.h"

namespace calor::policy {

void Environment::reset(std::uint64_t seed) {
  require_usage(seed <= std::numeric_limits<std::uint32_t>::max(),
                "a seed from 0 to 4294967295 for an environment", fmt::format("{}", seed),
                "choose a smaller seed: environments draw as NumPy's RandomState, whose seeds have "
                "32 bits");
  start(static_cast<std::uint32_t>(seed));
  begin_episode();
}

void Environment::begin_episode() {
  started_ = true;
  done_ = false;
  steps_ = 0;
  best_reward_ = 0;
  last_action_.clear();
}

void Environment::require_started() const {
  require_usage(started_, "an episode of " + spec_.name, "none was started",
                "call reset(seed) first");
}

void Environment::check_action(std::span<const double> action) const {
  constexpr double limit = 1e5;  // the physics stays finite, wherever the agent is sent
  require_usage(action.size() == spec_.action.size(),
                fmt::format("{} numbers as an action of {}", spec_.action.size(), spec_.name),
                fmt::format("{}", action.size()), "give " + spec_.action.text);
  for (std::size_t i = 0; i < action.size(); ++i) {
    const bool usable = std::abs(action[i]) <= limit;  // false for NaN
    require_usage(usable,
                  fmt::format("an action of {} between {} and {}", spec_.name, spec_.action.low[i],
                              spec_.action.high[i]),
                  fmt::format("{} as number {}", action[i], i + 1),
                  "look at what computes the actions: a diverged policy gives such numbers");
  }
}

Outcome Environment::step(std::span<const double> action) {
  require_started();
  check_action(action);
  last_action_.assign(action.begin(), action.end());
  const Outcome outcome = advance(action);
  ++steps_;
  done_ = done_ || outcome.done;
  best_reward_ = std::max(best_reward_, outcome.reward);
  return outcome;
}

std::vector<double> Environment::observe(std::string_view name) const {
  require_started();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < spec_.observations.size(); ++i) {
    if (spec_.observations[i].name == name) return observation(i);
    names.push_back(spec_.observations[i].name);
  }
  const std::string nearest = nearest_name(name, names);
  throw usage_error(
      fmt::format("an observation of {}: {}", spec_.name, fmt::join(names, ", ")),
      fmt::format("'{}'", name),
      nearest.empty() ? "choose one of these" : fmt::format("did you mean '{}'?", nearest));
}

at::Tensor Environment::picture(const PictureOptions& options) const {
  require_started();
  require_usage(options.side >= 1 && options.side <= 512, "a picture of 1 to 512 pixels a side",
                fmt::format("{}", options.side), "choose another side");
  std::optional<Vec2> action;
  if (options.show_action && last_action_.size() == 2) action = {last_action_[0], last_action_[1]};
  Canvas canvas = draw(options.side, action);
  for (std::size_t i = 0; i < options.plan.size(); ++i) {
    const Vec2 place = on_picture(options.plan[i]);
    const auto side = static_cast<double>(options.side);
    const auto green = static_cast<std::uint8_t>(220 - 220 * i / options.plan.size());
    canvas.fill_disc(nearest_pixel({side * place[0], side * place[1]}),
                     std::max<std::int64_t>(1, options.side / 80), {255, green, 0});
  }
  return canvas.picture();
}

}  // namespace calor::policy
