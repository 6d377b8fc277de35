#include "calor/net/group_norm.h"

#include <ATen/ATen.h>

namespace calor::net {
namespace {

at::Tensor per_pixel(const at::Tensor& channels) { return channels.unsqueeze(2).unsqueeze(3); }

}  // namespace

at::Tensor group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                      const at::Tensor& shift) {
  const at::Tensor values = x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
  const at::Tensor normal = at::group_norm(values, groups, {}, {}, 1e-5);
  return at::addcmul(per_pixel(shift), normal, per_pixel(scale));
}

at::Tensor group_norm_silu(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                           const at::Tensor& shift) {
  return at::silu(group_norm(x, groups, scale, shift));
}

ChannelAffine::ChannelAffine(Parameters& parameters, const std::string& name, std::int64_t width)
    : weight(parameters.add(name + ".weight", {width}, init_ones)),
      bias(parameters.add(name + ".bias", {width}, init_zeros)) {}

}  // namespace calor::net
