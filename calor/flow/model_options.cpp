#include "calor/flow/model_options.h"

#include <initializer_list>

namespace calor::flow {

void ModelOptions::declare(config::Options& options) {
  path.declare(options);
  stages.declare(options);
  time.declare(options);
  objective.declare(options);
  net::declare_kind(options, kind);
  net.declare(options);
  unet.declare(options);
  mlp.declare(options);
  chunk.declare(options);
  chunk_transformer.declare(options);
  vision.declare(options);
}

void GuidanceOptions::declare(config::Options& options) {
  options.add("sample.guidance", scale, {-100, 100}, "", "guidance scale; 1: none").run_only = true;
  options
      .add("sample.guidance_lo", lo, {0, 1}, "t",
           "guidance acts after this time, in a chain the whole chain's")
      .run_only = true;
  options.add("sample.guidance_hi", hi, {0, 1}, "t", "guidance acts before this time, likewise")
      .run_only = true;
}

ModelOptions ModelOptions::of_stage(std::size_t index) const {
  ModelOptions own = *this;
  const auto set = [&](const std::vector<double>& sizes,
                       std::initializer_list<std::int64_t*> options) {
    if (sizes.empty()) return;
    for (std::int64_t* option : options) *option = static_cast<std::int64_t>(sizes.at(index));
  };
  set(stages.widths,
      {&own.net.width, &own.unet.channels, &own.mlp.width, &own.chunk_transformer.width});
  // Of the 1-D U-Net, the finest level's width; the others keep their ratio to it.
  if (!stages.widths.empty()) own.chunk.scale_to(stages.widths.at(index));
  set(stages.depths,
      {&own.net.depth, &own.unet.blocks, &own.mlp.layers, &own.chunk_transformer.depth});
  return own;
}

double GuidanceOptions::weight(double t) const {
  const auto time = static_cast<float>(t);
  const bool after = lo == 0 || static_cast<float>(lo) < time;
  return after && time < static_cast<float>(hi) ? scale : 1;
}

GuidanceOptions GuidanceOptions::in_stage(std::size_t index, std::size_t stages) const {
  const auto count = static_cast<double>(stages);
  const auto before = static_cast<double>(stages - 1 - index);  // stages nearer to the noise
  return {.scale = scale, .lo = lo * count - before, .hi = hi * count - before};
}

}  // namespace calor::flow
