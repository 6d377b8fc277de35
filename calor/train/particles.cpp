#include "calor/train/particles.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "calor/data/loader.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/solve/stage_field.h"

namespace calor::train {
namespace {

// Where a stage's velocity begins.
double start_of(const flow::Stage& stage, const PushOptions& o) { return stage.least_s(o.t_eps); }

// What decides the bytes of a store.
std::string identity_of(const data::Dataset& left, const flow::Stage& stage,
                        const std::string& weights_checksum, const PushOptions& o) {
  std::string text =
      fmt::format("{} {} {} {} {} {} {} {} {} {}", left.fingerprint(), weights_checksum,
                  solve::ode_method_name(o.ode.method), o.ode.rtol, o.ode.atol, o.ode.steps,
                  o.ode.per_row, o.t_eps, o.chunk, o.store == ParticleStore::fp16 ? 16 : 32);
  if (start_of(stage, o) > 0) text += fmt::format(" noise {}", o.noise.value);
  return io::checksum(io::as_bytes(text));
}

// Items at the time where the stage's velocity begins.
at::Tensor begun(const at::Tensor& items, const flow::Stage& stage, std::int64_t first,
                 const PushOptions& o) {
  const double s = start_of(stage, o);
  if (s == 0) return items;
  const auto keys = o.noise.children(first, items.size(0));
  const at::Tensor noise = normal_by_item(keys, items.sizes().slice(1), items.device());
  const at::Tensor t = at::full({items.size(0)}, 1 - s, items.options());
  return stage.objective().noisy(items, noise, t);
}

at::Tensor push_chunk(const flow::Flow& flow, std::size_t stage, const data::Dataset& left,
                      std::int64_t first, std::int64_t count, const PushOptions& options) {
  const data::Batch batch = data::batch_of(left, first, count);
  const at::Tensor items = data::to_model_range(batch.items.to(flow.device()));
  const flow::Given observed{
      .labels = batch.labels, .condition = batch.condition, .pictures = batch.pictures};
  const flow::Given given = flow.stage(stage).encoded(observed.to(flow.device()));
  const solve::StageField field(flow.stage(stage), items.sizes().slice(1), given, options.t_eps);
  const auto derivative = [&](const at::Tensor& s, const at::Tensor& x) {
    return field.velocity(s, x);
  };
  const at::Tensor start = begun(items, flow.stage(stage), first, options);
  return solve::integrate(derivative, start.flatten(1), field.s_min(), 1, options.ode)
      .y.cpu()
      .contiguous();
}

// Labels and conditions, in order. Items with conditions are rows, which are in memory, but not so
// many pictures as their windows have: those stay with the set. Of others only the labels are asked
// for.
flow::Given given_of(const data::Dataset& set) {
  if (set.spec().condition_width > 0) {
    constexpr std::int64_t at_once = 256;
    std::vector<at::Tensor> labels, conditions;
    for (std::int64_t first = 0; first < set.size(); first += at_once) {
      const data::Batch batch = data::batch_of(set, first, std::min(at_once, set.size() - first));
      labels.push_back(batch.labels);
      conditions.push_back(batch.condition);
    }
    return {.labels = at::cat(labels), .condition = at::cat(conditions)};
  }
  const at::Tensor labels = at::empty({set.size()}, at::kLong);
  for (std::int64_t i = 0; i < set.size(); ++i) {
    labels.data_ptr<std::int64_t>()[i] = set.label(i);
  }
  return {.labels = labels, .condition = {}};
}

}  // namespace

std::shared_ptr<data::Dataset> push_particles(const flow::Flow& flow, std::size_t stage,
                                              const data::Dataset& left,
                                              const std::filesystem::path& file,
                                              const std::string& weights_checksum,
                                              const PushOptions& options,
                                              const std::function<void(std::int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  const StoreRequest request{
      .file = file,
      .identity = identity_of(left, flow.stage(stage), weights_checksum, options),
      .rows = left.size(),
      .chunk = options.chunk,
      .spec = left.spec(),
      .kind = options.store};
  const auto items = fill_store(
      request,
      [&](std::int64_t first, std::int64_t count) {
        return push_chunk(flow, stage, left, first, count, options);
      },
      progress);
  if (!items) return nullptr;
  const flow::Given given = given_of(left);
  return data::make_float_dataset(left.spec(), *items, given.labels, given.condition,
                                  left.observed());
}

}  // namespace calor::train
