#include "calor/solve/ode_options.h"

namespace calor::solve {

void declare_ode(config::Options& options, const std::string& prefix, OdeOptions& ode,
                 bool run_only) {
  options.add(prefix + ".method", ode.method, ode_methods, "how the ODE is solved").run_only =
      run_only;
  options.add(prefix + ".rtol", ode.rtol, {0, 1}, "", "dopri5, tsit5, adams: relative tolerance")
      .run_only = run_only;
  options.add(prefix + ".atol", ode.atol, {0, 1}, "", "dopri5, tsit5, adams: absolute tolerance")
      .run_only = run_only;
  options.add(prefix + ".steps", ode.steps, {1, 1'000'000}, "steps", "of the other methods")
      .run_only = run_only;
}

}  // namespace calor::solve
