#include "calor/solve/stage_field.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "calor/core/error.h"
#include "calor/core/workers.h"

namespace calor::solve {
namespace {

// Few enough that what a network of pictures computes of them stays in a core's cache. The same on
// any number of threads, so that results are, too.
constexpr std::int64_t slice_rows = 32;

}  // namespace

StageField::StageField(const flow::Stage& stage, at::IntArrayRef item_shape, flow::Given given,
                       double t_eps, flow::GuidanceOptions guidance)
    : stage_(stage),
      shape_(item_shape.begin(), item_shape.end()),
      given_(std::move(given)),
      t_eps_(t_eps),
      guidance_(guidance),
      exact_(stage.objective().predicts_exact_velocity()) {
  shape_.insert(shape_.begin(), -1);
  require_velocity(stage);
}

void require_velocity(const flow::Stage& stage) {
  require_usage(stage.space().path->levels() == 0, "a flow, which has a velocity and a likelihood",
                "path.kind = \"ihdm\": its sampler steps from level to level and adds noise",
                "take a model along another path");
  if (!stage.is_map()) return;
  throw usage_error("a flow, which has a velocity",
                    "a distilled student: its stages are maps from noise to data",
                    "score its teacher; a map of one evaluation has no likelihood");
}

at::Tensor StageField::items(const at::Tensor& x) const { return x.reshape(shape_); }

flow::Given StageField::given_for(std::int64_t rows) const {
  if (rows == given_.size()) return given_;
  if (gives_nothing() && rows < given_.size()) return given_.narrow(0, rows);
  throw Error("all rows at once where a model has labels or conditions",
              fmt::format("{} of {} rows", rows, given_.size()), "ask the field of those rows");
}

std::unique_ptr<VelocityField> StageField::for_rows(const at::Tensor& rows) const {
  if (gives_nothing()) return {};
  auto field = std::make_unique<StageField>(*this);
  field->given_ = given_.select(rows);
  return field;
}

// dx/ds = -dz/dt at t = 1 - s.
at::Tensor StageField::velocity_of(const at::Tensor& s, const at::Tensor& x,
                                   const flow::Given& given) const {
  const at::Tensor v = stage_.velocity(items(x), 1 - s, given, t_eps_, guidance_);
  return -v.reshape(x.sizes());
}

// Perceptrons cut their rows themselves, and GPUs want them all.
at::Tensor StageField::velocity(const at::Tensor& s, const at::Tensor& x) const {
  const flow::Given given = given_for(x.size(0));
  const bool whole = x.size(0) <= slice_rows || !x.is_cpu() || c10::GradMode::is_enabled() ||
                     stage_.network().has_tangents();
  return whole ? velocity_of(s, x, given) : in_slices(s, x, given);
}

at::Tensor StageField::in_slices(const at::Tensor& s, const at::Tensor& x,
                                 const flow::Given& given) const {
  std::vector<at::Tensor> slices(
      static_cast<std::size_t>((x.size(0) + slice_rows - 1) / slice_rows));
  Workers workers(at::get_num_threads());
  workers.run(static_cast<std::int64_t>(slices.size()), [&](std::int64_t i) {
    const c10::NoGradGuard no_grad;  // each thread has its own mode
    const std::int64_t first = i * slice_rows, count = std::min(slice_rows, x.size(0) - first);
    slices[static_cast<std::size_t>(i)] = velocity_of(
        s.narrow(0, first, count), x.narrow(0, first, count), given.narrow(first, count));
  });
  return at::cat(slices);
}

bool StageField::has_tangents() const {
  return stage_.network().has_tangents() && guidance_.scale == 1 &&
         !stage_.space().path->depends_on_frequency();
}

// Where the network predicts v: J = dv/dx. Where it predicts the clean item x^:
// dx/ds = -(on_z x + on_x x^), and J = dx^/dx with trace_shift and trace_scale from the path.
VelocityField::Products StageField::with_products(const at::Tensor& s, const at::Tensor& x,
                                                  const at::Tensor& directions) const {
  const bool clean = stage_.objective().options().prediction == objective::Quantity::x;
  if (clean && !has_tangents() && guidance_.scale == 1) return clean_products(s, x, directions);
  if (!has_tangents() || (!exact_ && !clean)) {
    return VelocityField::with_products(s, x, directions);
  }
  const c10::NoGradGuard no_grad;
  const net::Tangents said =
      stage_.with_tangents(items(x), 1 - s, given_for(x.size(0)), directions);
  const at::Tensor prediction = said.prediction.reshape(x.sizes());
  if (exact_) {
    const double sign = -stage_.velocity_sign();
    return {.velocity = sign * prediction,
            .products = sign == 1 ? said.products : -said.products,
            .trace_shift = {},
            .trace_scale = {}};
  }
  const auto v = stage_.space().path->velocity(1 - s, at::zeros_like(s), t_eps_);
  const at::Tensor on_z = -v.on_z;
  const at::Tensor on_x = -v.on_x();
  return {.velocity = on_z.unsqueeze(1) * x + on_x.unsqueeze(1) * prediction,
          .products = said.products,
          .trace_shift = on_z * static_cast<double>(x.size(1)),
          .trace_scale = on_x};
}

// dx/ds = -(on_z x + on_x x^), both factors per frequency: with D the operator -on_x (symmetric,
// since the DCT is orthonormal) tr dv/dx = -sum of on_z + tr D dx^/dx, the first part exactly. An
// estimator has to find the second alone, from (D dx^/dx)^T w = (dx^/dx)^T D w.
VelocityField::Products StageField::clean_products(const at::Tensor& s, const at::Tensor& x,
                                                   const at::Tensor& directions) const {
  const path::PictureSpace& space = stage_.space();
  const auto v = space.path->velocity((1 - s).reshape({-1, 1, 1, 1}), space.lambda, t_eps_);
  const at::Tensor on_x = -v.on_x();
  const at::AutoGradMode with_grad(true);
  const at::Tensor input = items(x.detach()).requires_grad_();
  const at::Tensor clean = stage_.predict(input, 1 - s, given_for(x.size(0)));
  const at::Tensor products =
      backward_products(clean, input, directions.size(-2), [&](std::int64_t i) {
        return space.multiply(on_x, items(directions.select(-2, i).expand_as(x)));
      });
  const at::Tensor velocity = space.combine(-v.on_z, input.detach(), on_x, clean.detach());
  const at::Tensor shift =
      v.on_z.expand({x.size(0), 1, input.size(2), input.size(3)}).sum({1, 2, 3});
  return {.velocity = velocity.reshape(x.sizes()),
          .products = products.flatten(2),
          .trace_shift = -static_cast<double>(input.size(1)) * shift,
          .trace_scale = {}};
}

std::pair<at::Tensor, at::Tensor> StageField::with_divergence(const at::Tensor& s,
                                                              const at::Tensor& x) const {
  const bool clean = stage_.objective().options().prediction == objective::Quantity::x;
  if (!has_tangents() || (!exact_ && !clean)) return VelocityField::with_divergence(s, x);
  const c10::NoGradGuard no_grad;
  const net::Divergence said = stage_.with_trace(items(x), 1 - s, given_for(x.size(0)));
  const at::Tensor prediction = said.prediction.reshape(x.sizes());
  if (exact_) {
    const double sign = -stage_.velocity_sign();
    return {sign * prediction, sign * said.trace};
  }
  const auto v = stage_.space().path->velocity(1 - s, at::zeros_like(s), t_eps_);
  const at::Tensor on_z = -v.on_z;
  const at::Tensor on_x = -v.on_x();
  return {on_z.unsqueeze(1) * x + on_x.unsqueeze(1) * prediction,
          on_z * static_cast<double>(x.size(1)) + on_x * said.trace};
}

}  // namespace calor::solve
