// The small pieces that networks are made of.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "calor/net/parameters.h"
#include "calor/net/precision.h"

namespace calor::net {

// The type in which a layer multiplies: bf16 where the precision says so, else that of its weight,
// fp32 or (Parameters::flatten) fp64.
at::ScalarType product_type(const at::Tensor& weight, Precision precision);

// y = x W^T + b. Weight [out, in] in fp32; the product in the given precision, whose type y has.
struct Linear {
  at::Tensor weight, bias;

  Linear() = default;
  Linear(at::Tensor weight_, at::Tensor bias_);  // from tensors; bias may be undefined
  Linear(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
         Initialiser initialiser = init_xavier);
  at::Tensor operator()(const at::Tensor& x, Precision precision) const;
  // Keeps both as the product takes them, until the next call: see Network::pack_weights().
  void pack(Precision precision);

 private:
  at::Tensor packed_weight_, packed_bias_;
};

// x / sqrt(mean(x^2) + 1e-6) * weight over the last dimension: the weight, for the kernels that
// normalise on the way.
struct RmsNorm {
  at::Tensor weight;

  RmsNorm() = default;
  RmsNorm(Parameters& parameters, const std::string& name, std::int64_t width);
  // The normalised x [N, L, D], shifted and scaled by a condition, shift and scale [N, D], in the
  // type of the product that follows.
  at::Tensor modulated(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                       Precision precision) const;
};

// x (1 + scale) + shift; x [N, L, D], shift and scale [N, D].
at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

// [cos | sin] of t times 128 frequencies from 1 down to 1e-4; t [N] -> [N, 256], fp32.
at::Tensor time_sinusoid(const at::Tensor& t);

// [sin | cos] of t times count / 2 frequencies in geometric progression, from 1 down to exactly
// 1e-4; t [N] -> [N, count], in the type of t; an even count of 4 or more.
at::Tensor geometric_sinusoids(const at::Tensor& t, std::int64_t count);

// Fixed 2-D sine-cosine positions [1, rows * columns, width]: the first half from the column, the
// second from the row.
at::Tensor sincos_positions(std::int64_t rows, std::int64_t columns, std::int64_t width);

// Rotary positions in two dimensions: complex units [tokens, head_dim / 2], one for each adjacent
// pair of a head's numbers; the first half of a head is turned by the row, the second by the
// column. `still` tokens in front are not turned.
at::Tensor rotary_table(std::int64_t still, std::int64_t rows, std::int64_t columns,
                        std::int64_t head_dim);

}  // namespace calor::net
