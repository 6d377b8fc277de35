#include "calor/flow/flow.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"

namespace calor::flow {
namespace {

path::PictureSpace make_space(const ModelOptions& options, const data::ImageSpec& pictures,
                              at::Device device) {
  return {path::make_path(options.path, pictures.height, pictures.width), pictures.height,
          pictures.width, at::kFloat, device};
}

path::TrainingTimes make_times(const ModelOptions& options, const path::PictureSpace& space) {
  return {options.time, space.path->natural_mixture(space.lambda.max().item<double>())};
}

net::PictureShape shape_of(const data::ImageSpec& pictures) {
  return {.channels = pictures.channels,
          .height = pictures.height,
          .width = pictures.width,
          .classes = pictures.classes()};
}

void check_layer_sync(const ModelOptions& options) {
  const auto& o = options.objective;
  if (o.layer_sync == 0) return;
  if (o.layer_sync_from < o.layer_sync_to && o.layer_sync_to < options.net.depth) return;
  throw usage_error(
      "objective.layer_sync_from < layer_sync_to < net.depth",
      fmt::format("{}, {} with depth {}", o.layer_sync_from, o.layer_sync_to, options.net.depth),
      "name two blocks, the earlier first, or set objective.layer_sync=0");
}

}  // namespace

void ModelOptions::declare(config::Options& options) {
  path.declare(options);
  time.declare(options);
  objective.declare(options);
  net.declare(options);
}

void GuidanceOptions::declare(config::Options& options) {
  options.add("sample.guidance", scale, {-100, 100}, "", "guidance scale; 1: none").run_only = true;
  options.add("sample.guidance_lo", lo, {0, 1}, "t", "guidance acts after this time").run_only =
      true;
  options.add("sample.guidance_hi", hi, {0, 1}, "t", "guidance acts before this time").run_only =
      true;
}

double GuidanceOptions::weight(double t) const {
  const auto time = static_cast<float>(t);
  const bool after = lo == 0 || static_cast<float>(lo) < time;
  return after && time < static_cast<float>(hi) ? scale : 1;
}

Flow::Flow(const ModelOptions& options, const data::ImageSpec& pictures, at::Device device)
    : options_(options),
      pictures_(pictures),
      device_(device),
      space_(make_space(options, pictures, device)),
      times_(make_times(options, space_)),
      objective_(options.objective, space_, times_),
      network_(net::make_jit(options.net, shape_of(pictures))) {
  check_layer_sync(options);
}

at::Tensor Flow::predict(const at::Tensor& z, double t, const at::Tensor& labels) const {
  const at::Tensor time = at::full({z.size(0)}, t, z.options());
  return objective_.clean(network_->forward({.z = z, .t = time, .y = labels}), z, time);
}

at::Tensor Flow::clean(const at::Tensor& z, double t, const at::Tensor& labels,
                       const GuidanceOptions& guidance) const {
  const double weight = guidance.weight(t);
  if (weight == 1) return predict(z, t, labels);
  const at::Tensor none = at::full_like(labels, pictures_.classes());
  const auto both = predict(at::cat({z, z}), t, at::cat({labels, none})).chunk(2);
  return both[1] + weight * (both[0] - both[1]);
}

at::Tensor Flow::initial_noise(std::span<const RandomKey> keys) const {
  const at::Tensor noise =
      normal_by_item(keys, {pictures_.channels, pictures_.height, pictures_.width}, device_);
  return noise * space_.path->noise_scale();
}

}  // namespace calor::flow
