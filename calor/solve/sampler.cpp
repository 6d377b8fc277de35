#include "calor/solve/sampler.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <optional>

#include "calor/core/error.h"
#include "calor/solve/grid.h"
#include "calor/solve/integrators.h"

namespace calor::solve {
namespace {

constexpr config::Choice<Solver> solvers[] = {
    {"spectral-2m", Solver::spectral_2m, "second-order multistep per frequency"},
    {"spectral-1", Solver::spectral_1, "first order per frequency (DDIM)"},
    {"ancestral", Solver::ancestral, "draws from the posterior of each step (DDPM)"},
    {"ihdm", Solver::ihdm, "level by level, for path.kind = ihdm alone"},
    {"heun", Solver::heun, "exact velocity, second order, two evaluations a step"},
    {"euler", Solver::euler, "exact velocity, first order"},
    {"paper-heun", Solver::paper_heun, "HDFM's published sampler, two evaluations a step"},
    {"paper-euler", Solver::paper_euler, "the same with single velocities"},
    {"dopri5", Solver::dopri5, "velocity, order 5, adaptive"},
    {"tsit5", Solver::tsit5, "velocity, order 5, adaptive"},
    {"adams", Solver::adams, "velocity, multistep, one evaluation a step, adaptive"},
    {"abm", Solver::abm, "velocity, multistep of order 3, one evaluation a step"},
    {"rk4", Solver::rk4, "velocity, order 4, four evaluations a step"},
    {"midpoint", Solver::midpoint, "velocity, second order, two evaluations a step"},
};

constexpr config::Choice<GridKind> grids[] = {
    {"auto", GridKind::automatic, "log-snr for spectral-*, else uniform"},
    {"uniform", GridKind::uniform, "equal steps of time"},
    {"log-snr", GridKind::log_snr, "equal steps of log(A/S)"},
    {"leading", GridKind::leading,
     "every 100/N-th of 100 steps from the data on (DDIM); noise is taken to lie at 1/N - 1/100"},
};

std::optional<OdeMethod> ode_method(Solver solver) {
  switch (solver) {
    case Solver::midpoint:
      return OdeMethod::midpoint;
    case Solver::rk4:
      return OdeMethod::rk4;
    case Solver::abm:
      return OdeMethod::abm;
    case Solver::dopri5:
      return OdeMethod::dopri5;
    case Solver::tsit5:
      return OdeMethod::tsit5;
    case Solver::adams:
      return OdeMethod::adams;
    default:
      return std::nullopt;
  }
}

std::unique_ptr<Integrator> make_integrator(const path::PictureSpace& space,
                                            const SolverOptions& options, const StepNoise& noise) {
  switch (options.solver) {
    case Solver::paper_euler:
      return paper_integrator(space, options.t_eps, false);
    case Solver::paper_heun:
      return paper_integrator(space, options.t_eps, true);
    case Solver::euler:
      return velocity_integrator(space, options.t_eps, false);
    case Solver::heun:
      return velocity_integrator(space, options.t_eps, true);
    case Solver::spectral_1:
      return spectral_integrator(space, false);
    case Solver::ancestral:
      return ancestral_integrator(space, noise);
    case Solver::ihdm:
      return ihdm_integrator(options.delta, noise);
    default:
      break;
  }
  return spectral_integrator(space, true);
}

void require_finite(const at::Tensor& z, std::size_t step, double t) {
  if (at::isfinite(z).all().item<bool>()) return;
  throw Error("a finite state of the sampler",
              fmt::format("NaN or infinity after step {} (t = {:.4g})", step + 1, t),
              "check the model (calor info --check) or take more steps");
}

}  // namespace

void SolverOptions::declare(config::Options& options) {
  options.add("sample.solver", solver, solvers, "how samples are integrated").run_only = true;
  options.add("sample.steps", steps, {1, 100000}, "steps", "number of solver steps").run_only =
      true;
  options
      .add("sample.t_eps", t_eps, {0, 0.5}, "",
           "velocity from a clean prediction: 1 - t is taken as at least this")
      .run_only = true;
  options
      .add("sample.grid", grid, grids,
           "the times of the steps, where all are along one path: a flow of one stage, or a chain "
           "that predicts the data")
      .run_only = true;
  options
      .add("sample.grid_lo", grid_lo, {0, 0.999}, "",
           "grid log-snr: first time after 0; 0: by the number of steps")
      .run_only = true;
  options
      .add("sample.grid_hi", grid_hi, {0, 0.99999}, "",
           "grid log-snr: last time before 1; 0: by the number of steps")
      .run_only = true;
  options
      .add(
          "sample.clip_data", clip_data,
          "predicted data are cut to [-1, 1] at each step, as DDPM does; not by the solvers of the "
          "velocity from dopri5 on")
      .run_only = true;
  options
      .add("sample.delta", delta, {0, 1}, "",
           "ihdm: standard deviation of the noise that each step adds")
      .run_only = true;
  options.add("sample.rtol", rtol, {0, 1}, "", "dopri5, tsit5, adams: relative tolerance")
      .run_only = true;
  options.add("sample.atol", atol, {0, 1}, "", "dopri5, tsit5, adams: absolute tolerance")
      .run_only = true;
}

bool is_spectral(Solver solver) {
  return solver == Solver::spectral_1 || solver == Solver::spectral_2m;
}

bool clips_time(Solver solver) {
  return !is_spectral(solver) && !is_stochastic(solver) && !is_ode(solver);
}

bool is_stochastic(Solver solver) { return solver == Solver::ancestral || solver == Solver::ihdm; }

bool is_ode(Solver solver) { return ode_method(solver).has_value(); }

bool is_adaptive(Solver solver) {
  const auto method = ode_method(solver);
  return method && is_adaptive(*method);
}

OdeOptions ode_options(const SolverOptions& options) {
  OdeOptions ode;
  ode.rtol = options.rtol;
  ode.atol = options.atol;
  ode.steps = options.steps;
  ode.method = ode_method(options.solver).value_or(ode.method);
  return ode;
}

std::string solver_name(Solver solver) { return config::name_of(solvers, solver); }

void check_solver(const path::SpectralPath& path, const SolverOptions& options) {
  const std::int64_t levels = path.levels();
  const bool published =
      options.solver == Solver::paper_euler || options.solver == Solver::paper_heun;
  require_usage(!published || path.exact_blur_term() > 0,
                "a model on the heat path, with path.a above 0, for the solver " +
                    solver_name(options.solver),
                fmt::format("the path {}", path.name()), "take another solver");
  if (levels == 0) {
    require_usage(options.solver != Solver::ihdm,
                  "a model with path.kind = \"ihdm\" for the solver ihdm",
                  fmt::format("the path {}", path.name()), "take another solver");
    return;
  }
  require_usage(options.solver == Solver::ihdm, "sample.solver = \"ihdm\" for path.kind = \"ihdm\"",
                solver_name(options.solver),
                "leave --solver out, or set sample.solver=ihdm before training");
  require_usage(
      options.steps == levels && options.grid != GridKind::leading &&
          options.grid != GridKind::log_snr,
      fmt::format("{} steps of equal length, one for each level of the model's path", levels),
      fmt::format("sample.steps = {}, or another grid", options.steps),
      fmt::format("leave --steps and --grid out, or set sample.steps={}", levels));
}

std::vector<double> default_grid(const path::SpectralPath& path, const SolverOptions& options) {
  const bool by_log_snr = options.grid == GridKind::log_snr ||
                          (options.grid == GridKind::automatic && is_spectral(options.solver));
  if (options.grid == GridKind::leading) return leading_grid(options.steps);
  if (!by_log_snr) return uniform_grid(options.steps);
  if (options.grid_lo > 0 && options.grid_hi > 0 && options.grid_lo >= options.grid_hi) {
    throw usage_error("sample.grid_lo below sample.grid_hi",
                      fmt::format("{} and {}", options.grid_lo, options.grid_hi),
                      "leave both at 0 for the default grid");
  }
  const auto grid = log_snr_grid(path, options.steps, options.grid_lo, options.grid_hi);
  require_usage(std::ranges::is_sorted(grid), "sample.grid_lo below the last time before 1",
                fmt::format("{} and {}, with {} steps", options.grid_lo, grid[grid.size() - 2],
                            options.steps),
                "raise sample.grid_hi, or leave both at 0 for the default grid");
  return grid;
}

Solution sample(const path::PictureSpace& space, const Denoise& denoise, const at::Tensor& start,
                const std::vector<double>& grid, const SolverOptions& options,
                const Observe& observe, const StepNoise& noise) {
  const c10::NoGradGuard no_grad;
  const auto integrator = make_integrator(space, options, noise);
  Solution solution{.sample = start, .nfe = 0};
  const Denoise counted = [&](const at::Tensor& z, double t) {
    ++solution.nfe;
    const at::Tensor clean = denoise(z, t).to(start.scalar_type());
    return options.clip_data ? clean.clamp(-1, 1) : clean;
  };
  for (std::size_t i = 0; i + 1 < grid.size(); ++i) {
    const at::Tensor clean = counted(solution.sample, grid[i]);
    if (observe) observe(static_cast<std::int64_t>(i), grid[i], solution.sample, clean);
    const Step step{.index = static_cast<std::int64_t>(i),
                    .from = grid[i],
                    .to = grid[i + 1],
                    .last = i + 2 == grid.size()};
    solution.sample = integrator->advance(solution.sample, clean, step, counted);
    require_finite(solution.sample, i, grid[i + 1]);
  }
  return solution;
}

}  // namespace calor::solve
