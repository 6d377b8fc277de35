// The settings of a chain of stages (local flow matching), and the steps that follow from them.
#pragma once

#include <cstdint>
#include <vector>

#include "calor/config/options.h"
#include "calor/path/stage_path.h"

namespace calor::flow {

// What a stage trains on: the data pushed through the trained stages before it, or the exact
// marginals of the Ornstein-Uhlenbeck process, which need no other stage.
enum class Particles { pushed, exact };

// What a clean prediction is: the stage's own left end, or the data (METHODS: local and global
// prediction).
enum class PredictedEnd { left, data };

// How long the steps are, where they are not listed: geometric, or chosen from the training set.
enum class Spacing { geometric, arc_length };

struct StageOptions {
  std::vector<double> gammas;  // OU time of each step; the free stage comes after them
  std::int64_t steps = 0;      // without a list: this many steps, 0: no chain
  Spacing spacing = Spacing::geometric;
  double gamma = 0.025;  // geometric: the first of them
  double ratio = 1.25;   //   and the ratio of each to the one before
  path::InnerPath inner = path::InnerPath::linear;
  path::InnerPath free_inner = path::InnerPath::linear;
  double sigma_min = 0;
  double rho = 0;  // fine detail is lost faster: theta(lambda) = 1 + rho lambda (local HDFM)
  Particles particles = Particles::pushed;
  PredictedEnd predicted = PredictedEnd::left;
  bool warm_start = true;
  // A student: each stage is a map from its right end to its left one, in this many evaluations.
  bool maps = false;
  std::int64_t evaluations = 1;
  std::int64_t times_per_pair = 1;
  // Of each stage's network; empty: all the same.
  std::vector<double> widths;  // mlp.width, net.width or unet.channels
  std::vector<double> depths;  // mlp.layers, net.depth or unet.blocks

  void declare(config::Options& options);
  // No chain: one stage along path.kind, from the data to noise.
  bool is_chain() const { return !gammas.empty() || steps > 0; }
  // Whether the gammas are still to be chosen from the training set (train::resolve_automatic).
  bool from_data() const { return gammas.empty() && steps > 0 && spacing == Spacing::arc_length; }
};

// The steps of the chain, data to noise, the last one free. UsageError where a step is not
// positive, those of a chain that is no student shrink towards noise, or there is not one width and
// depth for each stage.
std::vector<path::StageStep> stage_steps(const StageOptions& options);

}  // namespace calor::flow
