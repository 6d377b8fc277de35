#include "calor/restore/restore.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/solve/step_noise.h"

namespace calor::restore {
namespace {

flow::Given label_for(const flow::Flow& flow, std::int64_t label, std::int64_t count) {
  const at::Tensor labels = at::full({count}, label, at::kLong);
  return flow::Given{.labels = labels, .condition = {}}.to(flow.device());
}

solve::Denoise prior_of(const flow::Flow& flow, std::int64_t label,
                        const flow::GuidanceOptions& guidance) {
  return [&flow, label, guidance](const at::Tensor& z, double t) {
    return flow.stage(0).clean(z, t, label_for(flow, label, z.size(0)), guidance);
  };
}

// All samples of each picture, one picture after the other.
std::vector<RandomKey> sample_keys(std::span<const RandomKey> pictures, std::int64_t samples) {
  std::vector<RandomKey> keys;
  for (const RandomKey& picture : pictures) {
    for (std::int64_t k = 0; k < samples; ++k) {
      keys.push_back(picture.child(static_cast<std::uint64_t>(k)));
    }
  }
  return keys;
}

}  // namespace

solve::Denoise conditioned(const solve::Denoise& denoise, const Measurement& measurement,
                           const at::Tensor& measured, const Uncertainty& uncertainty,
                           Trust trust) {
  return [&, trust](const at::Tensor& z, double t) {
    const at::Tensor clean = denoise(z, t);
    at::Tensor variance = uncertainty.at(t);
    if (trust == Trust::adaptive) {
      const at::Tensor factor = measurement.surprise(clean, measured, variance).clamp_min(1);
      variance = factor.view({-1, 1, 1, 1}) * variance;
    }
    return measurement.condition(clean, measured, variance);
  };
}

at::Tensor bicubic(const at::Tensor& measured, std::int64_t height, std::int64_t width) {
  return at::upsample_bicubic2d(measured, {height, width}, /*align_corners=*/false);
}

at::Tensor wiener(const Measurement& measurement, const at::Tensor& measured,
                  const Spectrum& spectrum) {
  const spectral::Dct dct(spectrum.mean.size(1), spectrum.mean.size(2), at::kDouble,
                          measured.device());
  const at::Tensor mean = dct.inverse(spectrum.mean.to(measured.device())).unsqueeze(0);
  return measurement.condition(mean, measured, spectrum.variance).to(at::kFloat);
}

void check_restorable(const flow::Flow& flow, const solve::SolverOptions& solver) {
  const data::ItemSpec& items = flow.items();
  const bool pictures = items.kind == data::ItemKind::pictures && items.condition_width == 0 &&
                        items.observed.count == 0;
  if (!pictures) {
    throw usage_error("a model of pictures, with no conditions but labels, as the prior",
                      "a model of rows, or one with conditions", "train one on pictures");
  }
  if (flow.is_chain() || flow.options().stages.maps) {
    throw usage_error("a flow of one stage as the prior",
                      flow.options().stages.maps ? "a distilled student" : "a chain of stages",
                      "train one of the hdfm, jit or fm presets, or name the student's teacher");
  }
  if (flow.has_levels()) {
    throw usage_error("a flow from noise as the prior",
                      "path.kind = \"ihdm\", whose levels are blurred pictures without a posterior",
                      "train one of the hdfm, jit, fm, vp or blurring presets");
  }
  if (std::ranges::find(restoring_solvers, solver.solver) == restoring_solvers.end()) {
    std::vector<std::string> names;
    for (const solve::Solver known : restoring_solvers) names.push_back(solve::solver_name(known));
    throw usage_error(fmt::format("a solver that steps on the path: {}", fmt::join(names, ", ")),
                      solve::solver_name(solver.solver), "say --solver ancestral, or leave it out");
  }
}

std::vector<double> evaluation_times(const flow::Flow& flow, const solve::SolverOptions& solver) {
  auto times = solve::default_grid(*flow.stage(0).space().path, solver);
  times.pop_back();
  return times;
}

Uncertainty measure_uncertainty(const flow::Flow& flow, const at::Tensor& pictures,
                                std::int64_t label, std::span<const RandomKey> keys,
                                const solve::GenerateOptions& options,
                                const std::function<void(std::int64_t)>& on_time) {
  const solve::Denoise prior = prior_of(flow, label, options.guidance);
  const solve::Denoise in_pieces = [&](const at::Tensor& z, double t) {
    std::vector<at::Tensor> parts;
    for (const at::Tensor& part : z.split(options.batch)) parts.push_back(prior(part, t));
    return at::cat(parts);
  };
  return Uncertainty::measured(flow.stage(0).space(), in_pieces,
                               pictures.to(flow.device(), at::kFloat), keys,
                               evaluation_times(flow, options.solver), on_time);
}

Restored restore(const flow::Flow& flow, const Measurement& measurement, const at::Tensor& measured,
                 const Uncertainty& uncertainty, Trust trust, std::int64_t label,
                 std::span<const RandomKey> keys, std::int64_t samples,
                 const solve::GenerateOptions& options,
                 const std::function<void(std::int64_t)>& on_batch) {
  const c10::NoGradGuard no_grad;
  const path::PictureSpace& space = flow.stage(0).space();
  const auto grid = solve::default_grid(*space.path, options.solver);
  const solve::Denoise prior = prior_of(flow, label, options.guidance);
  const std::int64_t together = std::max<std::int64_t>(1, options.batch / samples);
  Restored out;
  std::vector<at::Tensor> parts;
  for (std::int64_t i = 0; i < measured.size(0) && !interrupted(); i += together) {
    const std::int64_t count = std::min(together, measured.size(0) - i);
    const auto own = sample_keys(
        keys.subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(count)), samples);
    const at::Tensor y =
        measured.narrow(0, i, count).to(flow.device()).repeat_interleave(samples, 0);
    const auto made = solve::sample(space, conditioned(prior, measurement, y, uncertainty, trust),
                                    flow.initial_noise(own), grid, options.solver, {},
                                    solve::step_noise(flow, own, 0));
    parts.push_back(made.sample.cpu().unflatten(0, {count, samples}));
    out.nfe = made.nfe;
    if (on_batch) on_batch(i + count);
  }
  const data::ItemSpec& items = flow.items();
  out.samples = parts.empty() ? at::empty({0, samples, items.channels, items.height, items.width})
                              : at::cat(parts);
  return out;
}

}  // namespace calor::restore
