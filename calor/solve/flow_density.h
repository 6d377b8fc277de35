// The log-density of rows under a flow, through all its stages, in batches.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "calor/flow/flow.h"
#include "calor/solve/log_density.h"

namespace calor::solve {

struct FlowDensityOptions {
  OdeOptions ode;
  DivergenceOptions divergence;
  double t_eps = 1e-3;         // of stages that predict the clean item: s is at least this
  std::int64_t batch = 16384;  // rows at a time
  std::int64_t first_row = 0;  // row i has the probes of row first_row + i
};

// rows [N, numbers] in the space that the flow works in, computed in the flow's type and on its
// device, `given` for each; the results are on the device of the rows. Stops early, with the rows
// done so far, where a signal asks for it. `on_batch` is told the rows done.
LogDensity flow_log_density(const flow::Flow& flow, const at::Tensor& rows,
                            const flow::Given& given, const FlowDensityOptions& options,
                            const std::function<void(std::int64_t)>& on_batch = {});

// Rows carried from the data to noise or back, through all stages; the result is of the flow's
// type, on the device of the rows.
Transported flow_transport(const flow::Flow& flow, const at::Tensor& rows, const flow::Given& given,
                           Direction direction, const FlowDensityOptions& options);

}  // namespace calor::solve
