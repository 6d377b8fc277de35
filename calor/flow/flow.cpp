#include "calor/flow/flow.h"

#include <ATen/ATen.h>

#include "calor/core/error.h"

namespace calor::flow {

void check_model(const ModelOptions& options, const data::ItemSpec& items) {
  if (options.stages.is_chain()) {
    for (const auto& step : stage_steps(options.stages)) {
      path::stage_path(step.free ? options.stages.free_inner : options.stages.inner, step);
    }
  }
  if (options.kind == net::NetworkKind::mlp) return;
  const bool jit = options.kind == net::NetworkKind::jit;
  if (jit) {
    net::check_jit(options.net, shape_of(items));
  } else {
    net::check_unet(options.unet, shape_of(items));
  }
  if (items.condition_width > 0) {
    throw usage_error("net.kind = \"mlp\" for a model with conditions",
                      jit ? "net.kind = \"jit\"" : "net.kind = \"unet\"",
                      "set net.kind=mlp, or data.condition=\"\"");
  }
}

Flow::Flow(const ModelOptions& options, const data::ItemSpec& items, at::Device device)
    : options_(options), items_(items), device_(device) {
  if (!options.stages.is_chain()) {
    stages_.push_back(std::make_unique<Stage>(options, 0, std::nullopt, items, device));
    return;
  }
  for (const auto& step : stage_steps(options.stages)) {
    stages_.push_back(std::make_unique<Stage>(options, stages_.size(), step, items, device));
  }
}

at::Tensor Flow::initial_noise(std::span<const RandomKey> keys) const {
  const at::Tensor noise =
      normal_by_item(keys, {items_.channels, items_.height, items_.width}, device_);
  return noise * options_.path.noise_scale;
}

std::int64_t Flow::parameter_count() const {
  std::int64_t total = 0;
  for (const auto& stage : stages_) total += stage->network().parameters().count();
  return total;
}

}  // namespace calor::flow
