// From noise to an item: samplers on any spectral path, driven by a function that predicts
// the clean picture. State and velocity keep the type of the start (fp32 for pictures, float64 in
// tests).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "calor/config/options.h"
#include "calor/path/picture_space.h"
#include "calor/solve/ode.h"

namespace calor::solve {

enum class Solver {
  paper_euler,
  paper_heun,
  euler,
  heun,
  spectral_1,
  spectral_2m,
  ancestral,
  ihdm,
  midpoint,
  rk4,
  abm,
  dopri5,
  tsit5,
  adams,
};

// automatic: uniform in log(A/S) for spectral-*, in time for the others.
enum class GridKind { automatic, uniform, log_snr, leading };

struct SolverOptions {
  Solver solver = Solver::spectral_2m;
  std::int64_t steps = 20;
  double t_eps = 0.05;  // paper-*, euler, heun: 1 - t is taken as at least this in the velocity
  GridKind grid = GridKind::automatic;
  double grid_lo = 0;  // uniform in log(A/S): 0 is the default of log_snr_grid
  double grid_hi = 0;
  bool clip_data = false;  // samplers on the path: every prediction is cut to [-1, 1]
  double delta = 0.025;    // ihdm: standard deviation of the noise of each step
  double rtol = 1e-5;      // dopri5, tsit5, adams
  double atol = 1e-5;

  void declare(config::Options& options);
};

// The name a person writes.
std::string solver_name(Solver solver);

// spectral-1, spectral-2m.
bool is_spectral(Solver solver);
// Whether the solver steps on the path along a velocity, which t_eps keeps finite: paper-*, euler,
// heun.
bool clips_time(Solver solver);
// Whether the solver draws noise on the way: ancestral, ihdm.
bool is_stochastic(Solver solver);
// Whether the solver integrates the velocity by an ODE method of its own (ode.h) and not by steps
// on the path: midpoint, rk4, abm, dopri5, tsit5, adams; then its settings.
bool is_ode(Solver solver);
OdeOptions ode_options(const SolverOptions& options);
// Whether the solver chooses its own steps by a tolerance: dopri5, tsit5, adams.
bool is_adaptive(Solver solver);

// The predicted clean picture for z [N, C, H, W] at time t, guidance included.
using Denoise = std::function<at::Tensor(const at::Tensor& z, double t)>;
// Called after each evaluation at the start of a step.
using Observe =
    std::function<void(std::int64_t step, double t, const at::Tensor& z, const at::Tensor& clean)>;

// Standard normal numbers [N, C, H, W] for a step; a function of the step alone.
using StepNoise = std::function<at::Tensor(std::int64_t step)>;

struct Solution {
  at::Tensor sample;
  std::int64_t nfe = 0;  // evaluations of the denoiser
};

// UsageError where the solver is not made for the path, or not with this number of steps: a path of
// levels has the solver `ihdm` in as many steps, and no other path has it; paper-* are those of the
// heat path.
void check_solver(const path::SpectralPath& path, const SolverOptions& options);

// The solver's own grid for its number of steps. UsageError where grid_lo and grid_hi, or what
// stands for one of them, are out of order.
std::vector<double> default_grid(const path::SpectralPath& path, const SolverOptions& options);

// Integrates from grid.front() to grid.back(). Error where the state stops being finite, naming the
// step. Where the path still has noise at the end (S > 0), the spectral solvers return the clean
// picture of the last step, if the grid ends at t = 1.
//
//   paper-euler, paper-heun: the published sampler of HDFM on the heat path, two evaluations a
//     step; per-sample blend of the blur term.
//   euler, heun: the path's exact velocity; both end with an Euler step and never evaluate at the
//     end. N and 2N - 1 evaluations.
//   spectral-1, spectral-2m: exponential integrators per frequency (DDIM; DPM-Solver++ 2M, arXiv
//     2211.01095), exact where the denoiser is constant (linear in log A/S). N evaluations.
//   ancestral: draws from the posterior q(Z_s | Z_t, X^) per frequency (DDPM, arXiv 2006.11239,
//     with the posterior's variance; blurring diffusion). A step to t = 1 is X^, without noise.
//     Needs `noise`. N evaluations.
//   ihdm: on a path of levels, whose denoiser says the picture one level less blurred: that, and
//     noise of standard deviation `delta` but for the last step (arXiv 2206.13397).
//     One step a level. Needs `noise`.
// The ODE methods are not among these: see generate.h.
Solution sample(const path::PictureSpace& space, const Denoise& denoise, const at::Tensor& start,
                const std::vector<double>& grid, const SolverOptions& options,
                const Observe& observe = {}, const StepNoise& noise = {});

}  // namespace calor::solve
