// Group normalisation (Wu and He, 2018) of pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "calor/net/parameters.h"

namespace calor::net {

// (x - mean) / sqrt(variance + 1e-5) * scale + shift, mean and variance of each picture taken over
// a group of C / groups neighbouring channels and all pixels. x [N, C, H, W]; scale and shift, one
// number for each channel, [1, C] or [N, C]. Computed in fp32 at least, and then rounded to the
// given type. Channels last, which x had better be, too.
at::Tensor group_norm(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                      const at::Tensor& shift, at::ScalarType type);
// silu(group_norm(...)).
at::Tensor group_norm_silu(const at::Tensor& x, std::int64_t groups, const at::Tensor& scale,
                           const at::Tensor& shift, at::ScalarType type);

// A learnt scale and shift, the same for every picture: [1, C].
struct ChannelAffine {
  at::Tensor weight, bias;  // [C]

  ChannelAffine() = default;
  ChannelAffine(Parameters& parameters, const std::string& name, std::int64_t width);
  at::Tensor scale() const { return weight.unsqueeze(0); }
  at::Tensor shift() const { return bias.unsqueeze(0); }
};

}  // namespace calor::net
