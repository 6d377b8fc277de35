#include "app/rollout_summary.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace calor::app {
namespace {

metric::Estimate mean_best(const std::vector<policy::Episode>& episodes) {
  std::vector<double> best;
  for (const auto& episode : episodes) best.push_back(episode.best_reward);
  if (best.size() == 1) return {.mean = best.front(), .standard_error = NAN, .count = 1};
  return metric::mean_and_standard_error(at::tensor(best, at::kDouble));
}

std::vector<policy::Decision> all_decisions(const std::vector<policy::Episode>& episodes) {
  std::vector<policy::Decision> all;
  for (const auto& episode : episodes) {
    all.insert(all.end(), episode.decisions.begin(), episode.decisions.end());
  }
  return all;
}

void measure_decisions(RolloutSummary& summary, const std::vector<policy::Decision>& decisions) {
  if (decisions.empty()) return;
  std::vector<double> times;
  for (const auto& decision : decisions) {
    times.push_back(1e3 * decision.seconds);
    summary.nfe += static_cast<double>(decision.nfe) / static_cast<double>(decisions.size());
  }
  std::ranges::sort(times);
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  summary.median_ms = at(0.5);
  summary.p99_ms = at(0.99);
  summary.longest_ms = times.back();
  if (summary.budget_ms > 0) {
    summary.late =
        std::ranges::count_if(times, [&](double time) { return time > summary.budget_ms; });
  }
}

}  // namespace

RolloutSummary summarise(const std::vector<policy::Episode>& episodes, double budget_ms) {
  RolloutSummary summary;
  summary.budget_ms = budget_ms;
  summary.best_reward = mean_best(episodes);
  summary.success =
      policy::success_share(std::ranges::count_if(episodes, &policy::Episode::success),
                            static_cast<std::int64_t>(episodes.size()));
  measure_decisions(summary, all_decisions(episodes));
  for (const auto& episode : episodes) {
    if (!episode.way.empty()) ++summary.ways[episode.way];
    if (episode.error.empty()) continue;
    if (summary.ended_early++ == 0) summary.why = episode.error;
  }
  return summary;
}

std::string RolloutSummary::text() const {
  std::string out = fmt::format(
      "mean best reward   {:.3f}{}\n"
      "success            {:.1f} % ({:.1f} to {:.1f} %)\n"
      "evaluations        {:.1f} a decision\n"
      "time per decision  median {:.1f} ms, p99 {:.1f} ms, longest {:.1f} ms",
      best_reward.mean,
      best_reward.count > 1 ? fmt::format(" +- {:.3f}", best_reward.standard_error) : "",
      100 * success.value, 100 * success.low, 100 * success.high, nfe, median_ms, p99_ms,
      longest_ms);
  if (budget_ms > 0) out += fmt::format(", {} later than {:.1f} ms", late, budget_ms);
  const char* before = "\nways               ";
  for (const auto& [way, count] : ways) {
    out += fmt::format("{}{} {}", before, way, count);
    before = ", ";
  }
  if (ended_early > 0) out += fmt::format("\nended early        {}: {}", ended_early, why);
  return out;
}

nlohmann::ordered_json RolloutSummary::json() const {
  return {
      {"mean_best_reward",
       {{"mean", best_reward.mean}, {"standard_error", best_reward.standard_error}}},
      {"success", {{"share", success.value}, {"low", success.low}, {"high", success.high}}},
      {"nfe", nfe},
      {"milliseconds_per_decision",
       {{"median", median_ms}, {"p99", p99_ms}, {"longest", longest_ms}}},
      {"budget_ms", budget_ms},
      {"late", late},
      {"ways", ways},
      {"ended_early", ended_early},
  };
}

nlohmann::ordered_json list_episodes(const std::vector<policy::Episode>& episodes) {
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& episode : episodes) {
    list.push_back({{"seed", episode.seed},
                    {"best_reward", episode.best_reward},
                    {"success", episode.success},
                    {"steps", episode.steps},
                    {"way", episode.way},
                    {"decisions", episode.decisions.size()},
                    {"error", episode.error}});
  }
  return list;
}

}  // namespace calor::app
