#include "calor/net/step_convolution.h"

#include <ATen/ATen.h>

#include <cmath>

#include "calor/net/kernels/step_windows.h"
#include "calor/net/layers.h"

namespace calor::net {
namespace {

constexpr kernels::Windows doubling{.kernel = 4, .stride = 2, .padding = 1};

// LibTorch's own defaults: uniform within one over the root of the numbers that are summed.
Initialiser initialiser_for(at::IntArrayRef shape) {
  return init_uniform(1 / std::sqrt(static_cast<double>(shape[1] * shape[2])));
}

}  // namespace

StepConvolution::StepConvolution(Parameters& parameters, const std::string& name,
                                 at::IntArrayRef shape, std::int64_t out)
    : weight_(parameters.add(name + ".weight", shape, initialiser_for(shape))),
      bias_(parameters.add(name + ".bias", {out}, initialiser_for(shape))) {}

// [out, kernel in]; transposed: [kernel out, in], the product of which lies in windows.
at::Tensor StepConvolution::rows_of_weight(Precision precision, bool is_transposed) const {
  if (packed_.defined()) return packed_;
  const at::Tensor w = weight_.to(product_type(weight_, precision));
  if (is_transposed) return w.permute({2, 1, 0}).reshape({-1, w.size(0)});
  return w.permute({0, 2, 1}).reshape({w.size(0), -1});
}

void StepConvolution::pack(Precision precision, bool is_transposed) {
  packed_ = at::Tensor();
  packed_ = rows_of_weight(precision, is_transposed).detach().contiguous();
}

at::Tensor StepConvolution::operator()(const at::Tensor& x, Precision precision,
                                       std::int64_t stride) const {
  const kernels::Windows windows{
      .kernel = weight_.size(2), .stride = stride, .padding = weight_.size(2) / 2};
  const at::ScalarType type = product_type(weight_, precision);
  if (!x.is_cpu()) {  // a GPU's own convolution is one kernel
    const at::Tensor y = at::conv1d(x.to(type).transpose(1, 2), weight_.to(type), bias_.to(type),
                                    stride, windows.padding);
    return y.transpose(1, 2).to(weight_.scalar_type());
  }
  const at::Tensor seen = kernels::step_windows(x, windows, type).flatten(2);
  const at::Tensor y = at::linear(seen, rows_of_weight(precision, false), bias_.to(type));
  return y.to(weight_.scalar_type());
}

at::Tensor StepConvolution::transposed(const at::Tensor& x, Precision precision) const {
  const at::ScalarType type = product_type(weight_, precision);
  if (!x.is_cpu()) {
    const at::Tensor y = at::conv_transpose1d(x.to(type).transpose(1, 2), weight_.to(type),
                                              bias_.to(type), doubling.stride, doubling.padding);
    return y.transpose(1, 2).to(weight_.scalar_type());
  }
  const at::Tensor put = at::linear(x.to(type), rows_of_weight(precision, true));
  const at::Tensor windows = put.unflatten(2, {doubling.kernel, weight_.size(1)});
  return kernels::add_step_windows(windows, 2 * x.size(1), doubling) + bias_;
}

}  // namespace calor::net
