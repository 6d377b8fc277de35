#include "calor/flow/flow.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"

namespace calor::flow {

namespace {

void check_predicted(const ModelOptions& options) {
  const StageOptions& stages = options.stages;
  if (stages.predicted == PredictedEnd::left) return;
  if (stages.particles == Particles::exact && stages.sigma_min == 0 &&
      options.objective.prediction == objective::Quantity::x) {
    return;
  }
  throw usage_error(
      "stages.particles = \"exact\", objective.prediction = \"x\" and stages.sigma_min = 0 for "
      "stages that predict the data",
      "stages.predicts = \"data\" with other settings",
      "given pushed particles the data is no Gaussian of the point: set these, or "
      "stages.predicts=left");
}

// A path of levels and its prediction belong together.
void check_levels(const ModelOptions& options, const data::ItemSpec& items) {
  using objective::Quantity;
  const bool levels = !options.stages.is_chain() && options.path.kind == path::PathKind::ihdm;
  const auto& o = options.objective;
  if (!levels) {
    require_usage(o.prediction != Quantity::less_blurred && o.loss != Quantity::less_blurred,
                  "path.kind = \"ihdm\", and no chain of stages, for the less blurred picture",
                  "objective.prediction or objective.loss = \"less-blurred\" on another path",
                  "set both to x, v or eps, or path.kind=ihdm");
    return;
  }
  require_usage(
      o.prediction == Quantity::less_blurred && o.loss == Quantity::less_blurred,
      "objective.prediction and objective.loss = \"less-blurred\" for path.kind = \"ihdm\"",
      "another quantity", "set both, as the preset ihdm-mnist does");
  require_usage(items.kind == data::ItemKind::pictures,
                "pictures, which can be blurred, for path.kind = \"ihdm\"", "rows of numbers",
                "take another path");
  require_usage(!options.stages.maps, "a flow with a velocity for a student",
                "path.kind = \"ihdm\"", "distil a model along another path");
  path::make_path(options.path, items.height, items.width);
}

void check_network(const ModelOptions& options, const net::PictureShape& shape) {
  switch (options.kind) {
    case net::NetworkKind::jit:
      return net::check_jit(options.net, shape);
    case net::NetworkKind::unet:
      return net::check_unet(options.unet, shape);
    case net::NetworkKind::chunk_unet:
      return net::check_chunk_unet(options.chunk, shape);
    case net::NetworkKind::chunk_transformer:
      return net::check_chunk_transformer(options.chunk_transformer, shape);
    case net::NetworkKind::mlp:
      break;
  }
}

}  // namespace

void check_model(const ModelOptions& options, const data::ItemSpec& items) {
  check_levels(options, items);
  if (options.stages.is_chain()) {
    check_predicted(options);
    for (const auto& step : stage_steps(options.stages)) {
      path::stage_path(step.free ? options.stages.free_inner : options.stages.inner, step);
    }
  }
  require_usage(items.observed.count == 0 || net::is_for_chunks(options.kind),
                "net.kind = \"chunk-unet\" or \"chunk-transformer\" where pictures are observed",
                "another kind of network", "set net.kind, or observe no pictures");
  if (items.observed.count > 0) net::check_picture_encoder({items.observed, options.vision});
  if (options.kind == net::NetworkKind::mlp) return;
  const std::size_t stages = options.stages.is_chain() ? stage_steps(options.stages).size() : 1;
  for (std::size_t n = 0; n < stages; ++n) check_network(options.of_stage(n), shape_of(items));
  if (net::is_for_chunks(options.kind)) return;
  const char* kind = options.kind == net::NetworkKind::jit ? "jit" : "unet";
  require_usage(
      items.condition_width == 0,
      "net.kind = \"mlp\", \"chunk-unet\" or \"chunk-transformer\" for a model with conditions",
      fmt::format("net.kind = \"{}\"", kind), "set net.kind=mlp, or data.condition=\"\"");
}

Flow::Flow(const ModelOptions& options, const data::ItemSpec& items, at::Device device)
    : options_(options), items_(items), device_(device) {
  check_levels(options, items);
  if (!options.stages.is_chain()) {
    stages_.push_back(std::make_unique<Stage>(options, 0, std::nullopt, items, device));
    return;
  }
  for (const auto& step : stage_steps(options.stages)) {
    stages_.push_back(std::make_unique<Stage>(options, stages_.size(), step, items, device));
  }
}

at::Tensor Flow::initial_noise(std::span<const RandomKey> keys) const {
  require_usage(!has_levels(), "a flow that begins at noise",
                "path.kind = \"ihdm\", which begins with blurred pictures",
                "draw them from a set of pictures (calor sample does)");
  const at::Tensor noise =
      normal_by_item(keys, {items_.channels, items_.height, items_.width}, device_);
  return noise * options_.path.noise_scale;
}

at::ScalarType Flow::type() const { return stage(0).network().parameters().flat().scalar_type(); }

void Flow::compute_in(at::ScalarType type) {
  if (type != at::kFloat && options_.kind != net::NetworkKind::mlp) {
    throw usage_error("net.kind = \"mlp\" for computing in fp64", "a network for pictures",
                      "compute in fp32");
  }
  for (const auto& stage : stages_) stage->network().parameters().flatten(device_, type);
}

void Flow::set_precision(net::Precision precision) {
  for (const auto& stage : stages_) {
    stage->network().set_precision(net::resolve(precision, device_));
  }
}

}  // namespace calor::flow
