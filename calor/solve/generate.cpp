#include "calor/solve/generate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "calor/core/signals.h"
#include "calor/solve/grid.h"

namespace calor::solve {

namespace {

constexpr const char* note_key = "calor.sample";

}  // namespace

void GenerateOptions::declare(config::Options& options) {
  solver.declare(options);
  guidance.declare(options);
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
  const RandomKey key = random_key(static_cast<std::uint64_t>(seed), RandomUse::sampling_noise);
  std::vector<RandomKey> keys;
  for (std::int64_t i = first; i < first + count; ++i) {
    keys.push_back(key.child(static_cast<std::uint64_t>(i)));
  }
  return keys;
}

Generated generate(const flow::Flow& flow, const at::Tensor& noise, const at::Tensor& labels,
                   const GenerateOptions& options, const OnBatch& on_batch,
                   const Observe& observe) {
  const c10::NoGradGuard no_grad;
  const auto grid = default_grid(*flow.space().path, options.solver);
  Generated out;
  std::vector<at::Tensor> parts;
  for (std::int64_t start = 0; start < noise.size(0) && !interrupted(); start += options.batch) {
    const std::int64_t count = std::min(options.batch, noise.size(0) - start);
    const at::Tensor z = noise.narrow(0, start, count).to(flow.device(), at::kFloat);
    const at::Tensor y = labels.narrow(0, start, count).to(flow.device());
    const Denoise denoise = [&](const at::Tensor& state, double t) {
      return flow.clean(state, t, y, options.guidance);
    };
    const Solution solution =
        sample(flow.space(), denoise, z, grid, options.solver, start == 0 ? observe : Observe{});
    parts.push_back(solution.sample.cpu());
    out.nfe = solution.nfe;
    if (on_batch) on_batch(start + count);
  }
  out.pictures = parts.empty() ? noise.narrow(0, 0, 0).cpu() : at::cat(parts);
  return out;
}

}  // namespace calor::solve
