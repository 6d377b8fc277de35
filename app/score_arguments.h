// What a person may say to calor score, and how it becomes options of the log-density.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

#include "app/command.h"
#include "calor/solve/flow_density.h"

namespace calor::app {

struct ScoreArguments {
  std::string run, data, split = "test", divergence = "auto", method = "adams", precision = "auto",
                         out;
  // 0: by what is scored.
  std::int64_t probes = 0, batch = 0, count = 0;
  std::int64_t steps = 20, draws = 1, rank = 0, seed = 0;
  double rtol = -1, atol = -1;  // below 0: by what is scored
  double t_eps = 1e-3;
  bool gaussian = false, per_row = false, invert = false, labels = false;
  SaidFlags said;
  Machine machine;

  void add_to(CLI::App& command);
  // Puts numbers in place of what "auto", 0 and below 0 stand for, for this flow and its items.
  void settle(const flow::Flow& flow);
  // All of these after settle().
  //
  // UsageError where a flag was given that has no say in how such a flow, of a
  // table or not, is scored.
  void check(const flow::Flow& flow, bool table) const;
  bool adaptive() const;
  solve::FlowDensityOptions density() const;
  // The type that the networks compute in.
  c10::ScalarType type_for(const flow::Flow& flow) const;
  // "adams at rtol 1e-05, atol 1e-05" or "abm in 24 steps a stage, with no control of their error".
  std::string solver_text() const;
  // divergence, probes, draws, method, precision, tolerances or steps, and the seed.
  void describe(const flow::Flow& flow, nlohmann::ordered_json& object) const;
};

// "fp64" or "fp32".
std::string precision_name(const flow::Flow& flow);

// The items with the lowest density first; rank 1 is the most unusual one.
std::vector<std::size_t> by_density(const at::Tensor& log_density);

// The rank of each item in an order: by_density's inverse.
std::vector<std::size_t> ranks_in(const std::vector<std::size_t>& order);
// A standard error as a table's cell: empty where there is none.
std::string error_cell(double error);

// The largest error of a coordinate when rows [N, numbers] are carried to noise and back.
double inversion_error(const flow::Flow& flow, const at::Tensor& rows, const flow::Given& given,
                       const solve::FlowDensityOptions& options);

}  // namespace calor::app
