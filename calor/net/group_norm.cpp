#include "calor/net/group_norm.h"

#include <ATen/ATen.h>

#include "calor/net/kernels/group_norm.h"

namespace calor::net {
namespace {

// A picture whose channels lie side by side is a sample of H W places as it lies.
at::Tensor normed(const at::Tensor& x, const kernels::GroupNorm& norm, at::ScalarType type) {
  const at::Tensor places = x.permute({0, 2, 3, 1}).flatten(1, 2);
  return kernels::group_norm(places, norm, type)
      .unflatten(1, {x.size(2), x.size(3)})
      .permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                      const at::Tensor& shift, at::ScalarType type) {
  return normed(x, {.groups = groups, .scale = scale, .shift = shift}, type);
}

at::Tensor group_norm_silu(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                           const at::Tensor& shift, at::ScalarType type) {
  return normed(
      x, {.groups = groups, .scale = scale, .shift = shift, .f = kernels::AfterNorm::silu}, type);
}

ChannelAffine::ChannelAffine(Parameters& parameters, const std::string& name, std::int64_t width)
    : weight(parameters.add(name + ".weight", {width}, init_ones)),
      bias(parameters.add(name + ".bias", {width}, init_zeros)) {}

}  // namespace calor::net
