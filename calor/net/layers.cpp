#include "calor/net/layers.h"

#include <ATen/ATen.h>

#include <cmath>

#include "calor/net/kernels/norm_modulate.h"
#include "calor/net/kernels/rounded_linear.h"

namespace calor::net {

at::ScalarType product_type(const at::Tensor& weight, Precision precision) {
  return precision == Precision::bf16 ? at::kBFloat16 : weight.scalar_type();
}

Linear::Linear(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
               Initialiser initialiser)
    : weight(parameters.add(name + ".weight", {out, in}, initialiser)),
      bias(parameters.add(name + ".bias", {out}, init_zeros)) {}

Linear::Linear(at::Tensor weight_, at::Tensor bias_)
    : weight(std::move(weight_)), bias(std::move(bias_)) {}

at::Tensor Linear::operator()(const at::Tensor& x, Precision precision) const {
  const at::ScalarType type = product_type(weight, precision);
  if (packed_weight_.defined()) return at::linear(x.to(type), packed_weight_, packed_bias_);
  if (type != weight.scalar_type()) return kernels::rounded_linear(x.to(type), weight, bias);
  return at::linear(x.to(type), weight, bias);
}

void Linear::pack(Precision precision) {
  const at::ScalarType type = product_type(weight, precision);
  packed_weight_ = weight.detach().to(type);
  if (bias.defined()) packed_bias_ = bias.detach().to(type);
}

RmsNorm::RmsNorm(Parameters& parameters, const std::string& name, std::int64_t width)
    : weight(parameters.add(name + ".weight", {width}, init_ones)) {}

at::Tensor RmsNorm::modulated(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                              Precision precision) const {
  return kernels::norm_modulate(x, weight, shift, scale, product_type(weight, precision));
}

at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  return at::addcmul(shift.unsqueeze(1), x, 1 + scale.unsqueeze(1));
}

at::Tensor time_sinusoid(const at::Tensor& t) {
  constexpr std::int64_t half = 128;
  const at::Tensor k = at::arange(half, t.options().dtype(at::kFloat));
  const at::Tensor frequencies = (k * (-std::log(1e4) / half)).exp();
  const at::Tensor angle = t.to(at::kFloat).unsqueeze(1) * frequencies;
  return at::cat({angle.cos(), angle.sin()}, 1);
}

at::Tensor geometric_sinusoids(const at::Tensor& t, std::int64_t count) {
  const std::int64_t half = count / 2;
  const at::Tensor k = at::arange(half, t.options()) / static_cast<double>(half - 1);
  const at::Tensor angle = t.unsqueeze(1) * at::pow(1e4, -k);
  return at::cat({angle.sin(), angle.cos()}, 1);
}

at::Tensor sincos_positions(std::int64_t rows, std::int64_t columns, std::int64_t width) {
  const std::int64_t quarter = width / 4;
  const at::Tensor k = at::arange(quarter, at::kDouble) / static_cast<double>(quarter);
  const at::Tensor frequencies = at::pow(1e4, -k);
  const auto embed = [&](const at::Tensor& position) {
    const at::Tensor angle = position.reshape({-1, 1}) * frequencies;
    return at::cat({angle.sin(), angle.cos()}, 1);
  };
  const at::Tensor row = at::arange(rows, at::kDouble).unsqueeze(1).expand({rows, columns});
  const at::Tensor column = at::arange(columns, at::kDouble).unsqueeze(0).expand({rows, columns});
  return at::cat({embed(column), embed(row)}, 1).unsqueeze(0).to(at::kFloat);
}

at::Tensor rotary_table(std::int64_t still, std::int64_t rows, std::int64_t columns,
                        std::int64_t head_dim) {
  const std::int64_t pairs = head_dim / 4;  // per axis
  const at::Tensor k = at::arange(pairs, at::kDouble) / static_cast<double>(pairs);
  const at::Tensor frequencies = at::pow(1e4, -k);
  const auto turn = [&](std::int64_t n) {
    return at::arange(n, at::kDouble).unsqueeze(1) * frequencies;
  };
  const at::Tensor by_row = turn(rows).unsqueeze(1).expand({rows, columns, pairs});
  const at::Tensor by_column = turn(columns).unsqueeze(0).expand({rows, columns, pairs});
  at::Tensor angle = at::cat({by_row, by_column}, 2).reshape({rows * columns, 2 * pairs});
  angle = at::cat({at::zeros({still, 2 * pairs}, at::kDouble), angle});
  return at::polar(at::ones_like(angle), angle).to(at::kComplexFloat);
}

}  // namespace calor::net
