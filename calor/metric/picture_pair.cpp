#include "calor/metric/picture_pair.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calor/core/error.h"

namespace calor::metric {

void check_pictures(const at::Tensor& pictures) {
  if (pictures.scalar_type() == at::kByte && pictures.dim() == 4 && pictures.numel() > 0) return;
  throw Error("pictures as bytes [N, C, H, W], one or more",
              fmt::format("{} [{}]", c10::toString(pictures.scalar_type()),
                          fmt::join(pictures.sizes(), ", ")),
              "round and clamp them to 0..255");
}

void check_picture_pair(const at::Tensor& a, const at::Tensor& b) {
  check_pictures(a);
  check_pictures(b);
  if (a.sizes().slice(1) == b.sizes().slice(1)) return;
  throw Error("two sets of pictures of one shape",
              fmt::format("[{}] and [{}] (channels, height, width)",
                          fmt::join(a.sizes().slice(1), ", "), fmt::join(b.sizes().slice(1), ", ")),
              "bring both to the same size and channels");
}

std::vector<at::Tensor> in_pieces(const at::Tensor& pictures) {
  constexpr std::int64_t values = std::int64_t{1} << 22;
  const std::int64_t each = pictures.numel() / pictures.size(0);
  return pictures.split(std::max<std::int64_t>(1, values / each));
}

}  // namespace calor::metric
