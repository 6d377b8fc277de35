#include "calor/net/kernels/rounded_linear.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

namespace calor::net::kernels {
namespace {

class RoundedLinear final : public torch::autograd::Function<RoundedLinear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    const at::Tensor rounded = weight.to(at::kBFloat16);
    context->save_for_backward({x, rounded});
    context->saved_data["bias"] = bias.has_value();
    return at::linear(x, rounded, bias ? std::optional(bias->to(at::kBFloat16)) : std::nullopt);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor g = gradients[0].reshape({-1, weight.size(0)});
    at::Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) dx = at::mm(g, weight).view(x.sizes());
    if (context->needs_input_grad(1)) {
      dweight = at::mm(g.t(), x.reshape({-1, weight.size(1)})).to(at::kFloat);
    }
    const bool with_bias = context->saved_data["bias"].toBool();
    if (with_bias && context->needs_input_grad(2)) dbias = g.sum(0, false, at::kFloat);
    return {dx, dweight, dbias};
  }
};

}  // namespace

at::Tensor rounded_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!c10::GradMode::is_enabled()) return rounded_linear_reference(x, weight, bias);
  return RoundedLinear::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

at::Tensor rounded_linear_reference(const at::Tensor& x, const at::Tensor& weight,
                                    const at::Tensor& bias) {
  return at::linear(x, weight.to(at::kBFloat16), bias.defined() ? bias.to(at::kBFloat16) : bias);
}

}  // namespace calor::net::kernels
