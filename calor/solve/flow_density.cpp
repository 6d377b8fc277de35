#include "calor/solve/flow_density.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "calor/core/signals.h"
#include "calor/solve/stage_field.h"

namespace calor::solve {
namespace {

// The stages of a flow as fields on one batch of rows.
class Fields {
 public:
  Fields(const flow::Flow& flow, const flow::Given& given, double t_eps) {
    const data::ItemSpec& items = flow.items();
    const std::vector<std::int64_t> shape{items.channels, items.height, items.width};
    fields_.reserve(flow.size());
    for (std::size_t n = 0; n < flow.size(); ++n) {
      fields_.emplace_back(flow.stage(n), shape, given, t_eps);
    }
    for (const StageField& field : fields_) pointers_.push_back(&field);
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  Stages stages() const { return pointers_; }
  double s_min() const {
    double s_min = 0;
    for (const StageField& field : fields_) s_min = std::max(s_min, field.s_min());
    return s_min;
  }

 private:
  std::vector<StageField> fields_;
  std::vector<const VelocityField*> pointers_;
};

TransportOptions transport_options(const FlowDensityOptions& options, const Fields& fields) {
  return {.ode = options.ode, .s_min = fields.s_min(), .batch = 0};
}

LogDensity on_device(LogDensity part, at::Device device) {
  for (at::Tensor* tensor : {&part.log_density, &part.standard_error, &part.end, &part.logdet}) {
    *tensor = tensor->to(device);
  }
  return part;
}

void append(LogDensity& all, const LogDensity& part) {
  if (!all.log_density.defined()) {
    all = part;
    return;
  }
  const auto before = static_cast<double>(all.log_density.size(0));
  const auto added = static_cast<double>(part.log_density.size(0));
  const double share = added / (before + added);
  all.log_density = at::cat({all.log_density, part.log_density});
  all.standard_error = at::cat({all.standard_error, part.standard_error});
  all.end = at::cat({all.end, part.end});
  all.logdet = at::cat({all.logdet, part.logdet}, 1);
  all.nfe += share * (part.nfe - all.nfe);
  for (std::size_t n = 0; n < all.stage_nfe.size(); ++n) {
    all.stage_nfe[n] += share * (part.stage_nfe[n] - all.stage_nfe[n]);
  }
}

}  // namespace

LogDensity flow_log_density(const flow::Flow& flow, const at::Tensor& rows,
                            const flow::Given& given, const FlowDensityOptions& options,
                            const std::function<void(std::int64_t)>& on_batch) {
  const c10::NoGradGuard no_grad;
  LogDensity all;
  for (std::int64_t first = 0; first < rows.size(0) && !interrupted(); first += options.batch) {
    const std::int64_t count = std::min(options.batch, rows.size(0) - first);
    const Fields fields(flow, given.narrow(first, count).to(flow.device()), options.t_eps);
    const LogDensityOptions own{.transport = transport_options(options, fields),
                                .divergence = options.divergence,
                                .noise_scale = flow.options().path.noise_scale};
    const at::Tensor some = rows.narrow(0, first, count).to(flow.device(), flow.type());
    append(all, on_device(log_density(fields.stages(), some, own, options.first_row + first),
                          rows.device()));
    if (on_batch) on_batch(first + count);
  }
  return all;
}

Transported flow_transport(const flow::Flow& flow, const at::Tensor& rows, const flow::Given& given,
                           Direction direction, const FlowDensityOptions& options) {
  const c10::NoGradGuard no_grad;
  const Fields fields(flow, given.to(flow.device()), options.t_eps);
  Transported result = transport(fields.stages(), rows.to(flow.device(), flow.type()), direction,
                                 transport_options(options, fields));
  result.x = result.x.to(rows.device());
  return result;
}

}  // namespace calor::solve
