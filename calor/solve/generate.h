// Items from a flow, in batches, each one a function of its own noise and of what it is given
// alone: from noise through all stages to the data. So it is to rounding; the solvers that choose
// their steps (adams, dopri5, tsit5) choose them for a whole batch, and there it is to their
// tolerance.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "calor/core/random.h"
#include "calor/flow/flow.h"
#include "calor/flow/model_file.h"
#include "calor/solve/sampler.h"

namespace calor::solve {

struct GenerateOptions {
  SolverOptions solver;
  flow::GuidanceOptions guidance;
  std::int64_t batch = 64;  // not a setting of the model: changes results as said above only

  void declare(config::Options& options);
};

// UsageError where items of the flow cannot be made so.
void check_sampling(const flow::Flow& flow, const GenerateOptions& options);

// How to sample a model, as a note of its file.
flow::Notes notes_from_options(GenerateOptions options);
// What a model file says of how to sample it; the defaults where it says nothing. `origin` names
// the file in errors.
GenerateOptions options_from_notes(const flow::Notes& notes, const std::string& origin);

struct Generated {
  at::Tensor items;      // fp32 [N, C, H, W] on the CPU; pictures in about [-1, 1]
  std::int64_t nfe = 0;  // evaluations per item (a guided one counts once), the most of all batches
};

// Called after each batch with the number of items done.
using OnBatch = std::function<void(std::int64_t done)>;

// One stream per item: number `first + i` of `seed`.
std::vector<RandomKey> sampling_keys(std::int64_t seed, std::int64_t first, std::int64_t count);

// What items begin with.
struct Start {
  at::Tensor noise;             // [N, C, H, W] as the path has it at t = 0, or states on the way;
                                // along a path of levels blurred pictures (blurred_start.h)
  std::vector<RandomKey> keys;  // [N]: the noise of an item's steps is a function of its key; for
                                // solvers that draw none there may be no keys
  double depth = 1;             // how far the states lie on the way from data (0) to noise (1)
};
// With the noise of these keys, too.
Start start_from(const flow::Flow& flow, std::vector<RandomKey> keys);
// Items [N, C, H, W] mixed with the start's noise by the exact law of the flow at this depth, for a
// warm start: in a chain at the first border that is no nearer to the data, in a flow of one stage
// at t = 1 - depth. Where there is no such place (the only stage is a map, or the border is noise)
// the start is returned as it is.
Start start_on_the_way(const flow::Flow& flow, const at::Tensor& items, Start start, double depth);

// Fixed steps are shared among the stages of a chain, at least one each: by the spectral solvers in
// proportion to each stage's range of log(A/S), else in equal parts. `observe`
// sees every step of the first batch, if the solver has steps on the path (all but the adaptive
// ones). From a start on the way only the rest is run, with its share of the steps. Stops early,
// with the items made so far, where a signal asks for it. Error where a solver draws noise and
// there are no keys; UsageError where it is not made for the flow's path (check_solver).
Generated generate(const flow::Flow& flow, const Start& start, const flow::Given& given,
                   const GenerateOptions& options, const OnBatch& on_batch = {},
                   const Observe& observe = {});
// From noise alone, for solvers that draw none.
Generated generate(const flow::Flow& flow, const at::Tensor& noise, const flow::Given& given,
                   const GenerateOptions& options, const OnBatch& on_batch = {},
                   const Observe& observe = {});

// Whether the solver neither draws noise nor is an ODE's: its way is one of steps on the path, and
// follows from where it begins.
bool has_way(const SolverOptions& solver);
// Whether the samples' way is such a one from noise alone: of one stage.
bool has_way(const flow::Flow& flow, const SolverOptions& solver);

// The states [N, times, C, H, W] that such a solver comes through from `start` at these times,
// ascending, 0 < t <= 1: its own grid with a point at each of them.
at::Tensor sample_way(const path::PictureSpace& space, const Denoise& denoise,
                      const at::Tensor& start, const std::vector<double>& times,
                      const SolverOptions& solver);
// The same of a flow, from noise, in batches.
at::Tensor generate_way(const flow::Flow& flow, const std::vector<double>& times,
                        const at::Tensor& noise, const flow::Given& given,
                        const GenerateOptions& options);

// Inside one stage, from states at its time `from` to those at `to` (0 <= from < to <= 1, 0 its
// noisy end): by ODE solvers, as below.
Generated generate_within(const flow::Flow& flow, std::size_t stage, double from, double to,
                          const at::Tensor& states, const flow::Given& given,
                          const GenerateOptions& options);

// As above from one border of the chain to another nearer to the data; borders count from the data
// (0) to noise (the number of stages), `states` are those at border `from`. Stages that predict the
// data are run one by one, by ODE solvers only: other solvers give way to `adams`, and so do all
// that draw noise, since a state leads to one other here.
Generated generate_between(const flow::Flow& flow, std::size_t from, std::size_t to,
                           const at::Tensor& states, const flow::Given& given,
                           const GenerateOptions& options);

}  // namespace calor::solve
