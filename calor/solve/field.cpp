#include "calor/solve/field.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

namespace calor::solve {
namespace {

// Numbers in a piece of the products with all unit vectors.
constexpr std::int64_t piece_numel = std::int64_t{1} << 22;

}  // namespace

VelocityField::Products VelocityField::with_products(const at::Tensor& t, const at::Tensor& x,
                                                     const at::Tensor& directions) const {
  const at::AutoGradMode with_grad(true);
  const at::Tensor input = x.detach().requires_grad_();
  const at::Tensor value = velocity(t, input);
  const at::Tensor products =
      backward_products(value, input, directions.size(-2),
                        [&](std::int64_t i) { return directions.select(-2, i).expand_as(value); });
  return {.velocity = value.detach(), .products = products, .trace_shift = {}, .trace_scale = {}};
}

std::pair<at::Tensor, at::Tensor> VelocityField::with_divergence(const at::Tensor& t,
                                                                 const at::Tensor& x) const {
  const std::int64_t d = x.size(1);
  const at::Tensor unit = at::eye(d, x.options());
  const std::int64_t piece =
      std::clamp<std::int64_t>(piece_numel / std::max<std::int64_t>(x.numel(), 1), 1, d);
  at::Tensor trace = at::zeros({x.size(0)}, x.options());
  Products last;
  for (std::int64_t from = 0; from < d; from += piece) {
    const at::Tensor directions = unit.narrow(0, from, std::min(piece, d - from));
    last = with_products(t, x, directions);
    trace.add_((last.products * directions).sum({1, 2}));
  }
  return {last.velocity, trace_of_field(last, trace)};
}

at::Tensor backward_products(const at::Tensor& value, const at::Tensor& input, std::int64_t k,
                             const std::function<at::Tensor(std::int64_t)>& direction) {
  std::vector<std::int64_t> shape = input.sizes().vec();
  shape.insert(shape.begin() + 1, k);
  at::Tensor products = at::zeros(shape, input.options());
  // A value that does not depend on the input has no graph, and products of 0.
  for (std::int64_t i = 0; i < k && value.requires_grad(); ++i) {
    const auto gradients = torch::autograd::grad({value}, {input}, {direction(i)},
                                                 /*retain_graph=*/i + 1 < k,
                                                 /*create_graph=*/false, /*allow_unused=*/true);
    if (gradients[0].defined()) products.select(1, i).copy_(gradients[0]);
  }
  return products;
}

at::Tensor trace_of_field(const VelocityField::Products& products, const at::Tensor& traces) {
  at::Tensor result = traces;
  const auto as_traces = [&](const at::Tensor& values) {
    return traces.dim() == 2 ? values.unsqueeze(1) : values;
  };
  if (products.trace_scale.defined()) result = result * as_traces(products.trace_scale);
  if (products.trace_shift.defined()) result = result + as_traces(products.trace_shift);
  return result;
}

}  // namespace calor::solve
