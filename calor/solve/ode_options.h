// The settings of the ODE solvers that carry particles, sample and score.
#pragma once

#include <string>

#include "calor/config/options.h"
#include "calor/solve/ode.h"

namespace calor::solve {

// Declares PREFIX.method, .rtol, .atol, .steps and .per_row; `run_only`: they may change on resume.
void declare_ode(config::Options& options, const std::string& prefix, OdeOptions& ode,
                 bool run_only);

}  // namespace calor::solve
