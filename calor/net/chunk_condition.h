// What a policy's network plans a chunk of actions from, beside the noisy chunk and the time: the
// numbers that were observed.
#pragma once

#include <ATen/core/Tensor.h>

#include "calor/net/jit.h"
#include "calor/net/network.h"

namespace calor::net {

class ChunkCondition {
 public:
  explicit ChunkCondition(std::int64_t numbers) : numbers_(numbers) {}

  // c, the size of the vector that a network is conditioned on; 0: on nothing.
  std::int64_t width() const { return numbers_; }

  // The vector [N, c] in `type`; Error where the input has another size. Only where c > 0.
  at::Tensor operator()(const NetworkInput& input, at::ScalarType type) const;

  // Error where the input is no chunk [N, A, 1, T] of this shape with such a condition, or output
  // tokens are asked for; `network` names the asker.
  void check(const NetworkInput& input, const ForwardContext& context, const PictureShape& shape,
             const char* network) const;

 private:
  std::int64_t numbers_;
};

}  // namespace calor::net
