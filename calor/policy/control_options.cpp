#include "calor/policy/control_options.h"

namespace calor::policy {

void ControlOptions::declare(config::Options& options) {
  static constexpr config::Choice<BadObservation> on_bad[] = {
      {"hold", BadObservation::hold, "repeat the last action until one can be used again"},
      {"stop", BadObservation::stop, "give no action any more"},
  };
  static constexpr config::Choice<WarmStart> warm[] = {
      {"none", WarmStart::none, "each decision begins with new noise"},
      {"noise", WarmStart::noise, "with the noise of the decision before, moved on"},
      {"plan", WarmStart::plan, "with the plan before, moved on and mixed with noise again"},
  };
  options.add("control.on_bad_observation", on_bad_observation, on_bad,
              "where an observation has another size or a number that is not finite");
  options.add("control.warm_start", warm_start, warm, "what a decision keeps of the one before it");
  options.add("control.warm_depth", warm_depth, {0.01, 1}, "",
              "warm_start = plan: the share of the way to noise that the plan is taken back");
  options.add("control.budget_ms", budget_ms, {0, 1e6}, "ms",
              "time that a decision may take: as many solver steps as fit are taken, and later "
              "decisions are counted; 0: no limit");
}

}  // namespace calor::policy
