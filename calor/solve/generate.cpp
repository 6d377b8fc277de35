#include "calor/solve/generate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/solve/grid.h"
#include "calor/solve/ode.h"
#include "calor/solve/stage_field.h"
#include "calor/solve/step_noise.h"

namespace calor::solve {

namespace {

constexpr const char* note_key = "calor.sample";

}  // namespace

void GenerateOptions::declare(config::Options& options) {
  solver.declare(options);
  guidance.declare(options);
}

void check_sampling(const flow::Flow& flow, const GenerateOptions& options) {
  const auto& [scale, lo, hi] = options.guidance;
  require_usage(lo < hi, "an interval of guidance that begins before it ends",
                fmt::format("sample.guidance_lo = {:g}, sample.guidance_hi = {:g}", lo, hi),
                "times run from 0, noise, to 1, data; sample.guidance = 1 is none");
  // Students are maps, and need no solver.
  if (!flow.stage(0).is_map()) check_solver(*flow.stage(0).space().path, options.solver);
}

flow::Notes notes_from_options(GenerateOptions options) {
  config::Options declared;
  options.declare(declared);
  return {{note_key, declared.to_toml()}};
}

GenerateOptions options_from_notes(const flow::Notes& notes, const std::string& origin) {
  GenerateOptions options;
  config::Options declared;
  options.declare(declared);
  const auto note = notes.find(note_key);
  if (note != notes.end()) declared.load_toml(note->second, origin + " (metadata)");
  return options;
}

std::vector<RandomKey> sampling_keys(std::int64_t seed, std::int64_t first, std::int64_t count) {
  return random_key(static_cast<std::uint64_t>(seed), RandomUse::sampling_noise)
      .children(first, count);
}

namespace {

// run(first, count) for one batch of the items after the other, until a signal asks for a stop.
template <class Run>
void in_batches(std::int64_t items, std::int64_t batch, const Run& run) {
  for (std::int64_t first = 0; first < items && !interrupted(); first += batch) {
    run(first, std::min(batch, items - first));
  }
}

bool predicts_data(const flow::Flow& flow) {
  return flow.is_chain() && flow.options().stages.predicted == flow::PredictedEnd::data;
}

// The steps of each stage, from data to noise. The spectral solvers share them by each stage's part
// of the range of log(A/S) that their grid covers, the others equally; each has at least one.
std::vector<std::int64_t> shared_steps(const flow::Flow& flow, const SolverOptions& options) {
  if (!flow.is_chain()) return {options.steps};
  std::vector<path::StageStep> steps;
  for (std::size_t n = 0; n < flow.size(); ++n) steps.push_back(*flow.stage(n).step());
  return share_steps(options.steps, is_spectral(options.solver)
                                        ? log_snr_ranges(steps, options.steps)
                                        : std::vector<double>(steps.size(), 1));
}

// Integrates the velocity from one time of the stage to another. From a clean prediction the last
// piece before the left end, where the velocity has no limit, is that prediction.
Solution integrate_stage(const flow::Stage& stage, double from, double to, const at::Tensor& z,
                         const flow::Given& given, const SolverOptions& solver,
                         const flow::GuidanceOptions& guidance) {
  const StageField field(stage, z.sizes().slice(1), given, solver.t_eps, guidance);
  const auto derivative = [&](const at::Tensor& s, const at::Tensor& x) {
    return field.velocity(s, x);
  };
  const double last = std::max(1 - to, field.s_min());
  Solution solution{.sample = z};
  if (1 - from > last) {
    const OdeSolution end =
        integrate(derivative, z.flatten(1), 1 - from, last, ode_options(solver));
    solution = {.sample = end.y.view(z.sizes()), .nfe = end.nfe};
  }
  if (to == 1 && last > 0) {
    solution.sample = stage.clean(solution.sample, 1 - last, given, guidance);
    ++solution.nfe;
  }
  return solution;
}

// The part of a grid from a time on, which is its first point.
std::vector<double> grid_from(double begin, const std::vector<double>& grid) {
  if (begin <= grid.front()) return grid;
  constexpr double rounding = 1e-6;  // grids may be of fp32 times
  std::vector<double> rest{begin};
  for (const double t : grid) {
    if (t > begin + rounding) rest.push_back(t);
  }
  return rest;
}

// A grid up to the last of these times, ascending, with a point at each of them.
std::vector<double> grid_through(const std::vector<double>& times,
                                 const std::vector<double>& grid) {
  constexpr double rounding = 1e-6;  // grids may be of fp32 times
  std::vector<double> points = times;
  for (const double t : grid) {
    const auto near = [&](double time) { return std::abs(time - t) < rounding; };
    if (t < times.back() && std::ranges::none_of(times, near)) points.push_back(t);
  }
  std::ranges::sort(points);
  return points;
}

Denoise denoiser_of(const flow::Stage& stage, const flow::Given& encoded,
                    const flow::GuidanceOptions& guidance) {
  return [&stage, encoded, guidance](const at::Tensor& state, double t) {
    return stage.clean(state, t, encoded, guidance);
  };
}

// From the stage's time `begin` to its left end. The steps are those of the whole stage.
Solution run_stage(const flow::Stage& stage, double begin, const at::Tensor& z,
                   const flow::Given& observed, const SolverOptions& solver,
                   const flow::GuidanceOptions& guidance, const Observe& observe,
                   const StepNoise& noise) {
  const flow::Given given = stage.encoded(observed);
  if (stage.is_map()) return {.sample = stage.map(z, given), .nfe = stage.evaluations()};
  if (is_ode(solver.solver)) {
    SolverOptions rest = solver;
    rest.steps = static_cast<std::int64_t>(
        std::ceil(static_cast<double>(solver.steps) * (1 - begin) - 1e-9));
    return integrate_stage(stage, begin, 1, z, given, rest, guidance);
  }
  // Inside a chain log(A/S) does not begin at -infinity: equal steps of time.
  const auto grid =
      stage.step() ? uniform_grid(solver.steps) : default_grid(*stage.space().path, solver);
  return sample(stage.space(), denoiser_of(stage, given, guidance), z, grid_from(begin, grid),
                solver, observe, noise);
}

// The whole chain as one path, where its stages predict the data and the solver steps on paths.
struct WholeChain {
  std::shared_ptr<const path::ChainPath> path;
  path::PictureSpace space;
};

std::optional<WholeChain> whole_chain(const flow::Flow& flow, const SolverOptions& options) {
  if (!predicts_data(flow) || is_ode(options.solver)) return std::nullopt;
  std::vector<std::shared_ptr<const path::SpectralPath>> paths;
  for (std::size_t n = 0; n < flow.size(); ++n) paths.push_back(flow.stage(n).space().path);
  const data::ItemSpec& items = flow.items();
  auto path = std::make_shared<const path::ChainPath>(std::move(paths));
  return WholeChain{path, {path, items.height, items.width, at::kFloat, flow.device()}};
}

// From the chain's time `begin` over the borders without a stop: the network that owns a step's
// beginning predicts the data.
Solution run_chain(const flow::Flow& flow, const WholeChain& whole, double begin,
                   const at::Tensor& z, const flow::Given& given, const GenerateOptions& options,
                   const Observe& observe, const StepNoise& noise) {
  std::vector<flow::Given> encoded;  // by each stage's network
  for (std::size_t n = 0; n < flow.size(); ++n) encoded.push_back(flow.stage(n).encoded(given));
  const Denoise denoise = [&](const at::Tensor& state, double t) {
    const auto place = whole.path->place(t);
    flow::GuidanceOptions guidance = options.guidance;
    guidance.scale = guidance.weight(t);  // its interval counts in the time of the chain
    guidance.lo = 0;
    guidance.hi = 1;
    return flow.stage(place.stage).clean(state, place.t, encoded[place.stage], guidance);
  };
  const auto grid = default_grid(*whole.path, options.solver);
  return sample(whole.space, denoise, z, grid_from(begin, grid), options.solver, observe, noise);
}

// The settings for one stage that is run by itself. What it predicts is data, hence of a known
// range, only at the chain's left end.
SolverOptions solver_of_stage(const flow::Flow& flow, const SolverOptions& options, std::size_t n,
                              std::int64_t steps) {
  SolverOptions solver = options;
  solver.steps = steps;
  if (n > 0) solver.clip_data = false;
  if (predicts_data(flow) && !is_ode(solver.solver)) solver.solver = Solver::adams;
  return solver;
}

// The first border of a chain that is no nearer to the data than this; of one stage, its right end.
std::size_t border_at(const flow::Flow& flow, double depth) {
  const auto size = static_cast<double>(flow.size());
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::ceil(depth * size - 1e-9)), 1,
                                 flow.size());
}

// Without any label both halves of guidance say the same: one will do.
GenerateOptions settled(const flow::Flow& flow, const flow::Given& given,
                        const GenerateOptions& options) {
  GenerateOptions own = options;
  const bool labelled = (given.labels != flow.items().classes()).any().item<bool>();
  if (!labelled) own.guidance.scale = 1;
  return own;
}

Generated generate_stages(const flow::Flow& flow, std::size_t first, std::size_t last,
                          const Start& from, const flow::Given& given,
                          const GenerateOptions& wanted, const OnBatch& on_batch,
                          const Observe& observe) {
  const c10::NoGradGuard no_grad;
  const GenerateOptions options = settled(flow, given, wanted);
  Generated out;
  std::vector<at::Tensor> parts;
  const auto steps = shared_steps(flow, options.solver);
  // Inside the chain only what begins at noise or was put on the way by start_on_the_way() has the
  // law that the whole chain's path has there.
  const bool all = last == 0 && (first == flow.size() || from.depth < 1);
  const auto whole = all ? whole_chain(flow, options.solver) : std::nullopt;
  const double begin =
      1 - (flow.is_chain() ? static_cast<double>(first) / static_cast<double>(flow.size())
                           : from.depth);
  const at::Tensor& noise = from.noise;
  in_batches(noise.size(0), options.batch, [&](std::int64_t start, std::int64_t count) {
    std::span<const RandomKey> keys = from.keys;
    if (!keys.empty()) {
      keys = keys.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(count));
    }
    at::Tensor z = noise.narrow(0, start, count).to(flow.device(), at::kFloat);
    const flow::Given own = given.narrow(start, count).to(flow.device());
    std::int64_t nfe = 0;
    if (whole) {
      const Solution solution =
          run_chain(flow, *whole, begin, z, own, options, start == 0 ? observe : Observe{},
                    step_noise(flow, keys, flow.size()));
      z = solution.sample;
      nfe = solution.nfe;
    }
    for (std::size_t n = whole ? last : first; n-- > last;) {
      const Solution solution =
          run_stage(flow.stage(n), flow.is_chain() ? 0 : begin, z, own,
                    solver_of_stage(flow, options.solver, n, steps[n]),
                    options.guidance.in_stage(n, flow.size()), start == 0 ? observe : Observe{},
                    step_noise(flow, keys, n));
      z = solution.sample;
      nfe += solution.nfe;
    }
    parts.push_back(z.cpu());
    out.nfe = std::max(out.nfe, nfe);
    if (on_batch) on_batch(start + count);
  });
  out.items = parts.empty() ? noise.narrow(0, 0, 0).cpu() : at::cat(parts);
  return out;
}

}  // namespace

Start start_from(const flow::Flow& flow, std::vector<RandomKey> keys) {
  at::Tensor noise = flow.initial_noise(keys);
  return {.noise = std::move(noise), .keys = std::move(keys)};
}

Start start_on_the_way(const flow::Flow& flow, const at::Tensor& items, Start start, double depth) {
  require_usage(!flow.has_levels(), "a flow that begins at noise for a warm start",
                "path.kind = \"ihdm\"", "begin with blurred pictures (solve/blurred_start.h)");
  const at::Tensor there = items.to(start.noise.options());
  if (flow.is_chain()) {
    const std::size_t border = border_at(flow, depth);
    if (border == flow.size()) return start;
    const flow::Stage& stage = flow.stage(border);
    const at::Tensor& lambda = stage.space().lambda;
    start.noise = stage.space().combine(stage.step()->kept(lambda), there,
                                        stage.step()->spread(lambda), start.noise);
  } else {
    const flow::Stage& stage = flow.stage(0);
    if (stage.is_map() || depth >= 1) return start;
    // The start has the path's scale of the noise already, which noisy() brings along, too.
    start.noise = stage.objective().noisy(there, start.noise / stage.space().path->noise_scale(),
                                          at::full({items.size(0)}, 1 - depth, there.options()));
  }
  start.depth = depth;
  return start;
}

Generated generate(const flow::Flow& flow, const Start& start, const flow::Given& given,
                   const GenerateOptions& options, const OnBatch& on_batch,
                   const Observe& observe) {
  check_sampling(flow, options);
  return generate_stages(flow, border_at(flow, start.depth), 0, start, given, options, on_batch,
                         observe);
}

Generated generate(const flow::Flow& flow, const at::Tensor& noise, const flow::Given& given,
                   const GenerateOptions& options, const OnBatch& on_batch,
                   const Observe& observe) {
  return generate(flow, Start{.noise = noise, .keys = {}}, given, options, on_batch, observe);
}

Generated generate_between(const flow::Flow& flow, std::size_t from, std::size_t to,
                           const at::Tensor& states, const flow::Given& given,
                           const GenerateOptions& options) {
  GenerateOptions own = options;
  if (is_stochastic(own.solver.solver)) own.solver.solver = Solver::adams;
  return generate_stages(flow, from, to, {.noise = states, .keys = {}}, given, own, {}, {});
}

bool has_way(const SolverOptions& solver) {
  return !is_ode(solver.solver) && !is_stochastic(solver.solver);
}

bool has_way(const flow::Flow& flow, const SolverOptions& solver) {
  return !flow.is_chain() && !flow.stage(0).is_map() && has_way(solver);
}

at::Tensor sample_way(const path::PictureSpace& space, const Denoise& denoise,
                      const at::Tensor& start, const std::vector<double>& times,
                      const SolverOptions& solver) {
  std::vector<at::Tensor> states;
  const Solution end =
      sample(space, denoise, start, grid_through(times, default_grid(*space.path, solver)), solver,
             [&](std::int64_t, double t, const at::Tensor& z, const at::Tensor&) {
               if (std::ranges::find(times, t) != times.end()) {
                 states.push_back(z);
               }
             });
  states.push_back(end.sample);
  return at::stack(states, 1);
}

at::Tensor generate_way(const flow::Flow& flow, const std::vector<double>& times,
                        const at::Tensor& noise, const flow::Given& given,
                        const GenerateOptions& wanted) {
  const c10::NoGradGuard no_grad;
  const GenerateOptions options = settled(flow, given, wanted);
  const flow::Stage& stage = flow.stage(0);
  std::vector<at::Tensor> parts;
  in_batches(noise.size(0), options.batch, [&](std::int64_t start, std::int64_t count) {
    const auto own = stage.encoded(given.narrow(start, count).to(flow.device()));
    const at::Tensor z = noise.narrow(0, start, count).to(flow.device(), at::kFloat);
    parts.push_back(sample_way(stage.space(), denoiser_of(stage, own, options.guidance), z, times,
                               options.solver)
                        .cpu());
  });
  if (!parts.empty()) return at::cat(parts);
  std::vector<std::int64_t> none = noise.sizes().vec();
  none.insert(none.begin() + 1, static_cast<std::int64_t>(times.size()));
  none[0] = 0;
  return at::empty(none, at::kFloat);
}

Generated generate_within(const flow::Flow& flow, std::size_t stage, double from, double to,
                          const at::Tensor& states, const flow::Given& given,
                          const GenerateOptions& wanted) {
  const c10::NoGradGuard no_grad;
  const GenerateOptions options = settled(flow, given, wanted);
  SolverOptions solver = options.solver;
  if (!is_ode(solver.solver)) solver.solver = Solver::adams;
  Generated out;
  std::vector<at::Tensor> parts;
  in_batches(states.size(0), options.batch, [&](std::int64_t start, std::int64_t count) {
    const at::Tensor z = states.narrow(0, start, count).to(flow.device(), at::kFloat);
    const flow::Given own = flow.stage(stage).encoded(given.narrow(start, count).to(flow.device()));
    const Solution solution = integrate_stage(flow.stage(stage), from, to, z, own, solver,
                                              options.guidance.in_stage(stage, flow.size()));
    parts.push_back(solution.sample.cpu());
    out.nfe = std::max(out.nfe, solution.nfe);
  });
  out.items = parts.empty() ? states.narrow(0, 0, 0).cpu() : at::cat(parts);
  return out;
}

}  // namespace calor::solve
