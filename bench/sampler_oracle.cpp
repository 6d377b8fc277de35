// The error of every sampler on the Gaussian oracle, where it is known exactly: relative squared W2
// distance by number of evaluations, float64. No network, no randomness, seconds.
//
//     make bench-programs && build/bench/sampler_oracle
#include <fmt/format.h>

#include <cstdio>

#include "calor/path/spectral_path.h"
#include "calor/solve/gaussian_oracle.h"
#include "calor/solve/grid.h"

namespace {

using calor::solve::GaussianOracle;
using calor::solve::Solver;

struct Row {
  const char* name;
  Solver solver;
  bool uniform;
  int evaluations_a_step;
};

constexpr Row rows[] = {
    {"euler, uniform grid", Solver::euler, true, 1},
    {"heun, uniform grid", Solver::heun, true, 2},
    {"paper-euler, uniform grid", Solver::paper_euler, true, 2},
    {"paper-heun, uniform grid", Solver::paper_heun, true, 2},
    {"spectral-1, uniform grid", Solver::spectral_1, true, 1},
    {"spectral-2m, uniform grid", Solver::spectral_2m, true, 1},
    {"spectral-1, default grid", Solver::spectral_1, false, 1},
    {"spectral-2m, default grid", Solver::spectral_2m, false, 1},
};

double error_at(const GaussianOracle& oracle, const Row& row, std::int64_t evaluations) {
  const bool paper = row.solver == Solver::paper_euler || row.solver == Solver::paper_heun;
  const calor::solve::SolverOptions options{.solver = row.solver,
                                            .steps = evaluations / row.evaluations_a_step,
                                            .t_eps = paper ? 0.05 : 1e-3};
  const auto grid = row.uniform ? calor::solve::uniform_grid(options.steps)
                                : calor::solve::default_grid(*oracle.space().path, options);
  return oracle.run(grid, options).relative_w2;
}

}  // namespace

int main() {
  calor::path::PathOptions options;  // heat, a = 0.5
  const GaussianOracle oracle(calor::path::make_path(options, 32, 32), 32);
  constexpr std::int64_t budgets[] = {4, 6, 10, 20, 50, 100};
  std::printf(
      "Relative W2^2 on the Gaussian oracle: heat path a = 0.5, 32 x 32, exact denoiser.\n"
      "t_eps 1e-3 (paper-*: .05). Heun takes 2N - 1 evaluations, its steps are half the "
      "column.\n\n");
  std::printf("%-28s", "NFE");
  for (const auto nfe : budgets) std::printf("%10ld", static_cast<long>(nfe));
  std::printf("\n");
  for (const Row& row : rows) {
    std::printf("%-28s", row.name);
    for (const auto nfe : budgets) std::printf("%10.1e", error_at(oracle, row, nfe));
    std::printf("\n");
  }
  return 0;
}
