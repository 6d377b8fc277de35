// What episodes of a policy come to, in words and as JSON (the keys are in docs/policies.md).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calor/metric/estimate.h"
#include "calor/policy/rollout.h"

namespace calor::app {

struct RolloutSummary {
  metric::Estimate best_reward;
  policy::Share success;
  double nfe = 0;  // of a decision, in the mean
  double median_ms = 0, p99_ms = 0, longest_ms = 0;
  double budget_ms = 0;   // 0: none
  std::int64_t late = 0;  // decisions that took longer
  std::map<std::string, std::int64_t> ways;
  std::int64_t ended_early = 0;  // episodes, by what is wrong with the policy
  std::string why;               // the first one's reason

  std::string text() const;
  nlohmann::ordered_json json() const;
};

RolloutSummary summarise(const std::vector<policy::Episode>& episodes, double budget_ms);

nlohmann::ordered_json list_episodes(const std::vector<policy::Episode>& episodes);

}  // namespace calor::app
