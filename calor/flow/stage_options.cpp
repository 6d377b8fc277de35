#include "calor/flow/stage_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::flow {
namespace {

std::vector<double> gammas_of(const StageOptions& o) {
  if (!o.gammas.empty()) return o.gammas;
  std::vector<double> gammas;
  for (std::int64_t n = 0; n < o.steps; ++n) {
    gammas.push_back(o.gamma * std::pow(o.ratio, static_cast<double>(n)));
  }
  return gammas;
}

// A student's maps each span a group of its teacher's stages, of any length.
void check_order(const std::vector<double>& gammas, bool maps) {
  for (std::size_t n = 0; n < gammas.size(); ++n) {
    const bool in_order = n == 0 || maps || gammas[n] >= gammas[n - 1];
    if (gammas[n] > 0 && in_order) continue;
    throw usage_error(
        "stages.gammas that are positive and do not shrink from data to noise",
        fmt::format("stages.gammas = {}: number {} is {}", gammas, n + 1, gammas[n]),
        "list the steps in order, the smallest first: near the data the law changes fastest");
  }
}

void check_count(const char* key, const std::vector<double>& sizes, std::size_t stages) {
  if (sizes.empty() || sizes.size() == stages) return;
  throw usage_error(
      fmt::format("{} numbers in {}, one for each stage and the free one last", stages, key),
      fmt::format("{}: {}", sizes.size(), sizes), "give one for each stage, or [] for equal ones");
}

}  // namespace

void StageOptions::declare(config::Options& options) {
  static constexpr config::Choice<path::InnerPath> inner_paths[] = {
      {"linear", path::InnerPath::linear, "straight lines"},
      {"trigonometric", path::InnerPath::trigonometric, "as published; overshoots in OU steps"},
      {"ou", path::InnerPath::ou, "the Ornstein-Uhlenbeck process itself"},
  };
  static constexpr config::Choice<Particles> particle_kinds[] = {
      {"pushed", Particles::pushed, "the data carried through the trained stages before"},
      {"exact", Particles::exact, "the exact OU marginals; stages train independently"},
  };
  options.add("stages.gammas", gammas, {0, 100}, "OU time",
              "steps of the chain from data to noise; a free stage to noise follows; [] and "
              "stages.steps = 0: one stage along path.kind");
  static constexpr config::Choice<Spacing> spacings[] = {
      {"geometric", Spacing::geometric, "stages.gamma, and stages.ratio times as long each"},
      {"arc-length", Spacing::arc_length,
       "from the spectrum of the training set: each stage carries the law equally far in W2"},
  };
  options.add("stages.steps", steps, {0, 1000}, "steps", "without stages.gammas: this many steps");
  options.add("stages.spacing", spacing, spacings, "without stages.gammas: how long the steps are");
  options.add("stages.gamma", gamma, {1e-6, 100}, "OU time", "the first geometric step");
  options.add("stages.ratio", ratio, {1, 100}, "", "each geometric step over the one before");
  options.add("stages.inner", inner, inner_paths, "the path inside an OU step");
  options.add("stages.free_inner", free_inner, inner_paths, "the path inside the free stage");
  options.add("stages.sigma_min", sigma_min, {0, 0.5}, "",
              "linear: what is left of the data at a stage's right end (for parity; 0 is exact)");
  static constexpr config::Choice<PredictedEnd> ends[] = {
      {"left", PredictedEnd::left, "the left end of its own stage (local)"},
      {"data", PredictedEnd::data, "the data itself, with exact particles (global)"},
  };
  options.add("stages.rho", rho, {0, 1024}, "pixel^2",
              "local HDFM: the OU time of a frequency is 1 + rho lambda times as long, so that "
              "stages near the data work on fine detail; 0: local flow matching");
  options.add("stages.predicts", predicted, ends, "what a clean prediction is in a stage");
  options.add("stages.particles", particles, particle_kinds, "what a stage trains on");
  options.add("stages.warm_start", warm_start,
              "a stage begins with the weights of the one before (pushed particles only)");
  options.add("stages.maps", maps,
              "a distilled student: each stage carries its right end to its left one in "
              "stages.evaluations (calor distill sets this)");
  options.add("stages.evaluations", evaluations, {1, 1000}, "",
              "a student's: evaluations of each map, at equal steps of log(A/S)");
  options.add("stages.times_per_pair", times_per_pair, {1, 1000}, "",
              "times drawn for each pair of data and noise in a step");
  options.add(
      "stages.widths", widths, {1, 16384}, "",
      "mlp.width, net.width or unet.channels of each stage, data to noise; []: the same for "
      "all");
  options.add("stages.depths", depths, {1, 256}, "",
              "mlp.layers, net.depth or unet.blocks of each stage, data to noise; []: the same for "
              "all");
}

std::vector<path::StageStep> stage_steps(const StageOptions& options) {
  const auto gammas = gammas_of(options);
  check_order(gammas, options.maps);
  std::vector<path::StageStep> steps;
  double start = 0;
  for (const double gamma : gammas) {
    steps.push_back({.free = false, .gamma = gamma, .start = start, .rho = options.rho});
    start += gamma;
  }
  steps.push_back({.free = true, .gamma = 0, .start = start, .rho = options.rho});
  check_count("stages.widths", options.widths, steps.size());
  check_count("stages.depths", options.depths, steps.size());
  return steps;
}

}  // namespace calor::flow
