#include "calor/net/group_norm.h"

#include <ATen/ATen.h>

namespace calor::net {
namespace {

constexpr double epsilon = 1e-5;

// The mean of x [N, C, H, W] over a group's channels and pixels, for each channel: [N, C].
at::Tensor group_mean(const at::Tensor& x, std::int64_t groups) {
  const std::int64_t n = x.size(0);
  const std::int64_t c = x.size(1);
  // Pixels first: the sum then runs along memory, where the channels of a pixel are neighbours.
  const at::Tensor channels = x.mean({2, 3}).view({n, groups, c / groups});
  return channels.mean(2, true).expand({n, groups, c / groups}).reshape({n, c});
}

at::Tensor per_pixel(const at::Tensor& channels) { return channels.unsqueeze(2).unsqueeze(3); }

}  // namespace

// Composed, because LibTorch's own group normalisation takes up to twice as long channels last as
// contiguous, where the convolutions are faster channels last. The picture is centred before it is
// squared, since a mean of squares less a squared mean cancels.
at::Tensor group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                      const at::Tensor& shift) {
  const at::Tensor values = x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
  const at::Tensor centred = values - per_pixel(group_mean(values, groups));
  const at::Tensor per_deviation = (group_mean(centred.square(), groups) + epsilon).rsqrt();
  return at::addcmul(per_pixel(shift), centred, per_pixel(per_deviation * scale));
}

at::Tensor group_norm_silu(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                           const at::Tensor& shift) {
  return at::silu(group_norm(x, groups, scale, shift));
}

ChannelAffine::ChannelAffine(Parameters& parameters, const std::string& name, std::int64_t width)
    : weight(parameters.add(name + ".weight", {width}, init_ones)),
      bias(parameters.add(name + ".bias", {width}, init_zeros)) {}

}  // namespace calor::net
