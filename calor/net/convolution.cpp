#include "calor/net/convolution.h"

#include <ATen/ATen.h>

#include "calor/net/layers.h"

namespace calor::net {

Convolution::Convolution(Parameters& parameters, const std::string& name, std::int64_t in,
                         std::int64_t out, std::int64_t side, Initialiser initialiser)
    : weight(parameters.add(name + ".weight", {out, in, side, side}, initialiser)),
      bias(parameters.add(name + ".bias", {out}, init_zeros)) {}

at::Tensor Convolution::operator()(const at::Tensor& x, Precision precision,
                                   std::int64_t stride) const {
  const at::ScalarType own = type(precision);
  const std::int64_t padding = weight.size(2) / 2;
  return at::conv2d(x.to(own), weight.to(own), bias.to(own), stride, padding);
}

at::ScalarType Convolution::type(Precision precision) const {
  return product_type(weight, precision);
}

}  // namespace calor::net
