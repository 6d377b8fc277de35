// Convolutions along the steps of sequences, for networks of action chunks.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "calor/net/parameters.h"
#include "calor/net/precision.h"

namespace calor::net {

// Weight [out, in, kernel] (transposed: [in, out, kernel]) and bias [out], as LibTorch has them.
// x [N, T, in] -> [N, T', out]: channels lie side by side, so that each convolution is one matrix
// product. The products are in the given precision; the result has the type of the weights.
class StepConvolution {
 public:
  StepConvolution(Parameters& parameters, const std::string& name, at::IntArrayRef shape,
                  std::int64_t out);

  // Padded with zeros so that stride 1 keeps T and stride 2 halves an even T; an odd kernel.
  at::Tensor operator()(const at::Tensor& x, Precision precision, std::int64_t stride = 1) const;
  // Doubles T: a kernel of 4, stride 2.
  at::Tensor transposed(const at::Tensor& x, Precision precision) const;

  const at::Tensor& weight() const { return weight_; }
  // Keeps the weights as the products take them, until the next call. For a network whose weights
  // no longer change: training after that would go on with old ones.
  void pack(Precision precision, bool is_transposed);

 private:
  at::Tensor rows_of_weight(Precision precision, bool is_transposed) const;

  at::Tensor weight_, bias_;
  at::Tensor packed_;
};

}  // namespace calor::net
