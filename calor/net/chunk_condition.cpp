#include "calor/net/chunk_condition.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calor/core/error.h"

namespace calor::net {

at::Tensor ChunkCondition::operator()(const NetworkInput& input, at::ScalarType type) const {
  return input.condition.to(type);
}

void ChunkCondition::check(const NetworkInput& input, const ForwardContext& context,
                           const PictureShape& shape, const char* network) const {
  if (!context.taps.empty()) {
    throw Error("a network whose blocks put out tokens", network, "train it without LayerSync");
  }
  const at::Tensor& z = input.z;
  if (z.dim() != 4 || z.size(1) != shape.channels || z.size(2) != 1 || z.size(3) != shape.width) {
    throw Error(fmt::format("chunks [N, {}, 1, {}]", shape.channels, shape.width),
                fmt::format("a tensor [{}]", fmt::join(z.sizes(), ", ")),
                "give the data that the network was made for");
  }
  const std::int64_t given = input.condition.defined() ? input.condition.size(1) : 0;
  if (given != numbers_) {
    throw Error(fmt::format("a condition of {} numbers for each chunk", numbers_),
                fmt::format("{}", given), "give the observations that the network was made for");
  }
}

}  // namespace calor::net
