// The convolutions of networks for pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "calor/net/parameters.h"
#include "calor/net/precision.h"

namespace calor::net {

// Weight [out, in, side, side] and bias [out]; an odd side. x [N, in, H, W] padded with zeros so
// that stride 1 keeps H x W and stride 2 halves even sides. The products are in the given
// precision, whose type the result has; it lies in memory as x does.
struct Convolution {
  at::Tensor weight, bias;

  Convolution() = default;
  Convolution(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
              std::int64_t side = 3, Initialiser initialiser = init_xavier);
  at::Tensor operator()(const at::Tensor& x, Precision precision, std::int64_t stride = 1) const;
  // Of the result, and best of x, which is turned into it.
  at::ScalarType type(Precision precision) const;
};

}  // namespace calor::net
