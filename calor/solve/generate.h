// Pictures from a flow, in batches, each one a function of its own noise and label alone.
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
  std::int64_t batch = 64;  // not a setting of the model: changes results by rounding only

  void declare(config::Options& options);
};

// How to sample a model, as a note of its file.
flow::Notes notes_from_options(GenerateOptions options);
// What a model file says of how to sample it ; the defaults where it says
// nothing. `origin` names the file in errors.
GenerateOptions options_from_notes(const flow::Notes& notes, const std::string& origin);

struct Generated {
  at::Tensor pictures;   // fp32 [N, C, H, W] on the CPU, about [-1, 1]
  std::int64_t nfe = 0;  // evaluations per picture (a guided one counts once)
};

// Called after each batch with the number of pictures done.
using OnBatch = std::function<void(std::int64_t done)>;

// One stream per picture: item `first + i` of `seed`.
std::vector<RandomKey> sampling_keys(std::int64_t seed, std::int64_t first, std::int64_t count);

// `noise` [N, C, H, W] as the path has it at t = 0; `labels` int64 [N], pictures().classes()
// meaning none. `observe` sees every step of the first batch. Stops early, with the pictures made
// so far, where a signal asks for it.
Generated generate(const flow::Flow& flow, const at::Tensor& noise, const at::Tensor& labels,
                   const GenerateOptions& options, const OnBatch& on_batch = {},
                   const Observe& observe = {});

}  // namespace calor::solve
