#include "calor/flow/stage.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/path/log_snr.h"

namespace calor::flow {
namespace {

path::PictureSpace make_space(const ModelOptions& options,
                              const std::optional<path::StageStep>& step,
                              const data::ItemSpec& items, at::Device device) {
  std::unique_ptr<path::SpectralPath> path;
  if (step) {
    const StageOptions& stages = options.stages;
    const auto inner = step->free ? stages.free_inner : stages.inner;
    path = stages.predicted == PredictedEnd::data
               ? path::global_stage_path(inner, *step)
               : path::stage_path(inner, *step, stages.sigma_min);
    path->set_noise_scale(options.path.noise_scale);
  } else {
    path = path::make_path(options.path, items.height, items.width);
  }
  return {std::move(path), items.height, items.width, at::kFloat, device};
}

std::unique_ptr<path::SpectralPath> make_whole_path(const ModelOptions& options,
                                                    const std::optional<path::StageStep>& step,
                                                    const data::ItemSpec& items) {
  if (step) {
    const StageOptions& stages = options.stages;
    return path::global_stage_path(step->free ? stages.free_inner : stages.inner, *step);
  }
  auto path = path::make_path(options.path, items.height, items.width);
  path->set_noise_scale(1);
  return path;
}

path::TrainingTimes make_times(const ModelOptions& options, const path::PictureSpace& space) {
  return {options.time, space.path->natural_mixture(space.lambda.max().item<double>()),
          space.path->levels()};
}

void check_layer_sync(const ModelOptions& options) {
  const auto& o = options.objective;
  if (o.layer_sync == 0) return;
  if (options.kind == net::NetworkKind::jit && o.layer_sync_from < o.layer_sync_to &&
      o.layer_sync_to < options.net.depth) {
    return;
  }
  throw usage_error(
      "objective.layer_sync_from < layer_sync_to < net.depth, in a transformer",
      fmt::format("{}, {} with depth {}", o.layer_sync_from, o.layer_sync_to, options.net.depth),
      "name two blocks, the earlier first, or set objective.layer_sync=0");
}

std::unique_ptr<net::Network> make_network(const ModelOptions& all, std::size_t index,
                                           const data::ItemSpec& items) {
  const net::PictureShape shape = shape_of(items);
  const ModelOptions options = all.of_stage(index);
  const net::PictureInput pictures{.shape = items.observed, .encoder = options.vision};
  switch (options.kind) {
    case net::NetworkKind::jit:
      return net::make_jit(options.net, shape);
    case net::NetworkKind::unet:
      return net::make_unet(options.unet, shape);
    case net::NetworkKind::chunk_unet:
      return net::make_chunk_unet(options.chunk, shape, items.condition_width, pictures);
    case net::NetworkKind::chunk_transformer:
      return net::make_chunk_transformer(options.chunk_transformer, shape, items.condition_width,
                                         pictures);
    case net::NetworkKind::mlp:
      break;
  }
  return net::make_mlp(options.mlp, shape, items.condition_width);
}

at::Tensor per_item(const at::Tensor& t) { return t.reshape({-1, 1, 1, 1}); }

}  // namespace

net::PictureShape shape_of(const data::ItemSpec& items) {
  return {.channels = items.channels,
          .height = items.height,
          .width = items.width,
          .classes = items.classes()};
}

Stage::Stage(const ModelOptions& options, std::size_t index, std::optional<path::StageStep> step,
             const data::ItemSpec& items, at::Device device)
    : step_(step),
      predicts_data_(options.stages.predicted == PredictedEnd::data),
      is_map_(options.stages.maps),
      classes_(items.classes()),
      space_(make_space(options, step, items, device)),
      whole_path_(make_whole_path(options, step, items)),
      map_times_(path::log_snr_cuts(*whole_path_, is_map_ ? options.stages.evaluations : 1)),
      times_(make_times(options, space_)),
      objective_(options.objective, space_, times_),
      network_(make_network(options, index, items)) {
  check_layer_sync(options);
}

double Stage::least_s(double t_eps) const {
  const bool begins_with_noise = step_ && step_->start > 0 && predicts_data_;
  return objective_.predicts_exact_velocity() || begins_with_noise ? 0 : t_eps;
}

at::Tensor Stage::fed_time(const at::Tensor& t) const { return step_ ? 1 - t : t; }

bool Stage::predicts_velocity() const {
  return objective_.options().prediction == objective::Quantity::v;
}

Given Stage::encoded(const Given& given) const {
  if (!given.pictures.defined()) return given;
  return {.labels = given.labels, .condition = network_->encode(given.condition, given.pictures)};
}

net::NetworkInput Stage::input(const at::Tensor& z, const at::Tensor& t, const Given& given) const {
  return {.z = z,
          .t = fed_time(t),
          .y = given.labels,
          .condition = given.condition,
          .pictures = given.pictures};
}

net::Tangents Stage::with_tangents(const at::Tensor& z, const at::Tensor& t, const Given& given,
                                   const at::Tensor& directions) const {
  return network_->forward_with_tangents(input(z, t, given), directions);
}

net::Divergence Stage::with_trace(const at::Tensor& z, const at::Tensor& t,
                                  const Given& given) const {
  return network_->forward_with_divergence(input(z, t, given));
}

at::Tensor Stage::predict(const at::Tensor& z, const at::Tensor& t, const Given& given,
                          net::ForwardContext& context) const {
  const at::Tensor out = replay_->forward(*network_, input(z, t, given), context);
  return step_ && predicts_velocity() ? -out : out;
}

at::Tensor Stage::predict(const at::Tensor& z, const at::Tensor& t, const Given& given) const {
  net::ForwardContext context;
  return predict(z, t, given, context);
}

//     Z_to = exp(ln S_to - ln S_from) Z + A_to (1 - e^-h) X^,     h = change of ln(A/S)
at::Tensor Stage::map_between(const at::Tensor& z, const at::Tensor& from, const at::Tensor& to,
                              const Given& given, net::ForwardContext& context) const {
  const at::Tensor said = predict(z, from, given, context);
  if (predicts_velocity()) return z + per_item(to - from) * said;
  const at::Tensor arrived = per_item(to.eq(1).logical_and(from.lt(1)));
  if (arrived.all().item<bool>()) return said;
  const at::Tensor still = per_item(to.eq(from));
  const at::Tensor t = per_item(from.to(at::kDouble));
  const at::Tensor u = per_item(to.to(at::kDouble));
  const at::Tensor lambda = space_.lambda.to(at::kDouble);
  const path::SpectralPath& path = *space_.path;
  const at::Tensor h = path::log_snr(path, u, lambda) - path::log_snr(path, t, lambda);
  const auto settled = [&](const at::Tensor& inside, double where_still, double where_arrived) {
    return inside.masked_fill(still, where_still)
        .masked_fill(arrived, where_arrived)
        .to(z.scalar_type());
  };
  const at::Tensor keep = settled((path.log_s(u, lambda) - path.log_s(t, lambda)).exp(), 1, 0);
  const at::Tensor add = settled(-path.log_a(u, lambda).exp() * at::expm1(-h), 0, 1);
  return space_.combine(keep, z, add, said);
}

at::Tensor Stage::map(const at::Tensor& z, const Given& given) const {
  net::ForwardContext context;
  at::Tensor state = z;
  for (std::size_t k = 1; k < map_times_.size(); ++k) {
    const at::Tensor from = at::full({z.size(0)}, map_times_[k - 1], z.options());
    state = map_between(state, from, at::full_like(from, map_times_[k]), given, context);
  }
  return state;
}

// Guidance is linear in the prediction, so it may be mixed before or after it is made clean; the
// published way mixes the clean items.
at::Tensor Stage::guided(const at::Tensor& z, const at::Tensor& t, const Given& given,
                         double weight, bool as_clean) const {
  const auto say = [&](const at::Tensor& state, const at::Tensor& time, const Given& what) {
    const at::Tensor said = predict(state, time, what);
    return as_clean ? objective_.clean(said, state, time) : said;
  };
  if (weight == 1) return say(z, t, given);
  const auto both =
      say(at::cat({z, z}), at::cat({t, t}), Given::cat(given, given.without_labels(classes_)))
          .chunk(2);
  return both[1] + weight * (both[0] - both[1]);
}

at::Tensor Stage::clean(const at::Tensor& z, double t, const Given& given,
                        const GuidanceOptions& guidance) const {
  const at::Tensor time = at::full({z.size(0)}, t, z.options());
  return guided(z, time, given, guidance.weight(t), true);
}

at::Tensor Stage::velocity(const at::Tensor& z, const at::Tensor& t, const Given& given,
                           double t_eps, const GuidanceOptions& guidance) const {
  // With an interval of guidance all rows must share one time.
  const double weight = guidance.scale == 1 ? 1 : guidance.weight(t.flatten()[0].item<double>());
  const bool exact = objective_.predicts_exact_velocity();
  const at::Tensor said = guided(z, t, given, weight, !exact);
  if (exact) return said;
  const auto v = space_.path->velocity(per_item(t), space_.lambda, t_eps);
  return space_.combine(v.on_z, z, v.on_x(), said);
}

}  // namespace calor::flow
