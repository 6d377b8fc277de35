#include "calor/policy/rollout.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/core/workers.h"
#include "calor/policy/make_environment.h"

namespace calor::policy {
namespace {

constexpr std::int64_t film_side = 160;

// The environment's observation that the policy was trained on; empty where it is only pictures;
// nothing where there is none.
std::optional<std::string> fitting_observation(const Policy& policy, const Environment& environment,
                                               const std::string& wanted) {
  const auto size = static_cast<std::size_t>(policy.observation_size());
  if (size == 0 && wanted.empty()) return "";
  for (const VectorSpec& spec : environment.spec().observations) {
    const bool fits = policy.pictures().count > 0 || !spec.beside_pictures;
    if (spec.size() == size && (wanted.empty() ? fits : wanted == spec.name)) return spec.name;
  }
  return {};
}

std::string observation_for(const Policy& policy, const Environment& environment,
                            const std::string& wanted) {
  if (auto found = fitting_observation(policy, environment, wanted)) return *found;
  std::string all;
  for (const VectorSpec& spec : environment.spec().observations) {
    all += fmt::format("{}{} ({})", all.empty() ? "" : ", ", spec.name, spec.size());
  }
  throw usage_error(
      fmt::format("an observation of {} numbers, as the policy was trained on ({})",
                  policy.observation_size(), policy.codec.options.observations),
      fmt::format("{} of {} has: {}", wanted.empty() ? "none" : wanted, environment.spec().name,
                  all),
      "take another --environment or --observation, or a policy trained for this one");
}

// Environments show square pictures in colour.
void check_pictures(const Policy& policy) {
  const auto& [count, channels, height, width] = policy.pictures();
  if (count == 0 || (channels == 3 && height == width && width <= 512)) return;
  throw usage_error(
      "a policy of square pictures in colour, of 512 pixels a side at most",
      fmt::format("one of pictures with {} channels and {} x {} pixels", channels, height, width),
      "take the environment that the demonstrations are from");
}

bool fits_actions(const Policy& policy, const Environment& environment) {
  return policy.action_size() == static_cast<std::int64_t>(environment.spec().action.size());
}

void check_actions(const Policy& policy, const Environment& environment) {
  if (fits_actions(policy, environment)) return;
  throw usage_error(fmt::format("actions of {} numbers, as {} takes",
                                environment.spec().action.size(), environment.spec().name),
                    fmt::format("a policy with {}", policy.action_size()),
                    "take the environment that the demonstrations are from");
}

// The actions of the plan that are still to come, where they are points of a plane.
std::vector<Vec2> planned_targets(const Controller& controller) {
  const at::Tensor& plan = controller.plan();
  if (!plan.defined() || plan.size(1) != 2) return {};
  std::vector<Vec2> targets;
  const auto rows = plan.accessor<double, 2>();
  for (std::int64_t i = controller.next_of_plan(); i < plan.size(0); ++i) {
    targets.push_back({rows[i][0], rows[i][1]});
  }
  return targets;
}

Episode play(Controller& controller, Environment& environment, const std::string& observation,
             std::uint64_t seed, std::int64_t max_steps, bool filmed) {
  Episode episode;
  episode.seed = seed;
  environment.reset(seed);
  controller.reset(seed);
  const auto film = [&] {
    if (!filmed) return;
    episode.frames.push_back(environment.picture(
        {.side = film_side, .show_action = true, .plan = planned_targets(controller)}));
  };
  film();
  while (!environment.over() && environment.steps() < max_steps && !interrupted()) {
    const data::ObservedShape& pictures = controller.policy().pictures();
    // As in the demonstrations, without a mark where the last action was.
    controller.observe(
        observation.empty() ? std::vector<double>() : environment.observe(observation),
        pictures.count > 0 ? environment.picture({.side = pictures.width}) : at::Tensor());
    const Action action = controller.act();
    if (action.status != ActionStatus::decided) {
      episode.error = controller.error();
      break;
    }
    environment.step(action.values);
    film();
  }
  episode.best_reward = environment.best_reward();
  episode.success = environment.success();
  episode.steps = environment.steps();
  episode.way = environment.way();
  episode.decisions = controller.decisions();
  return episode;
}

}  // namespace

std::string environment_for(const Policy& policy, const std::string& observation) {
  const std::vector<std::string> names = environment_names();
  for (const std::string& name : names) {
    const auto environment = make_environment(name);
    if (fits_actions(policy, *environment) &&
        fitting_observation(policy, *environment, observation)) {
      return name;
    }
  }
  throw usage_error(
      fmt::format("a policy for one of the environments: {}", fmt::join(names, ", ")),
      fmt::format("actions of {} numbers and observations of {}{}", policy.action_size(),
                  policy.observation_size(),
                  observation.empty() ? "" : fmt::format(", of which none is '{}'", observation)),
      "another robot's policy runs in a loop of your own: docs/policies.md, the controller");
}

std::vector<Episode> roll_out(const std::shared_ptr<const Policy>& policy,
                              const RolloutOptions& options,
                              const std::function<void(std::int64_t)>& on_episode) {
  const std::string name = options.environment.empty()
                               ? environment_for(*policy, options.observation)
                               : options.environment;
  const auto first = make_environment(name);
  check_actions(*policy, *first);
  check_pictures(*policy);
  const std::string observation = observation_for(*policy, *first, options.observation);
  const std::int64_t max_steps =
      options.max_steps > 0 ? options.max_steps : first->spec().max_steps;
  std::vector<Episode> episodes(static_cast<std::size_t>(options.episodes));
  std::vector<char> whole(episodes.size(), 0);
  std::mutex mutex;
  std::int64_t done = 0;
  Workers workers(static_cast<int>(std::min<std::int64_t>(options.workers, options.episodes)));
  workers.run(options.episodes, [&](std::int64_t i) {
    if (interrupted()) return;
    const auto k = static_cast<std::size_t>(i);
    const auto environment = make_environment(name);
    Controller controller(policy, options.control);
    episodes[k] = play(controller, *environment, observation,
                       options.seed + static_cast<std::uint64_t>(i), max_steps, i < options.filmed);
    if (interrupted()) return;
    whole[k] = 1;
    const std::lock_guard lock(mutex);
    if (on_episode) on_episode(++done);
  });
  std::vector<Episode> out;
  for (std::size_t k = 0; k < episodes.size(); ++k) {
    if (whole[k] != 0) out.push_back(std::move(episodes[k]));
  }
  return out;
}

Share success_share(std::int64_t successes, std::int64_t of) {
  if (of == 0) return {};
  constexpr double z = 1.959963984540054;
  const auto n = static_cast<double>(of);
  const double p = static_cast<double>(successes) / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {.value = p, .low = middle - half, .high = middle + half};
}

}  // namespace calor::policy
