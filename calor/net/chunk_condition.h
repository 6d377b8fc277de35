// What a policy's network plans a chunk of actions from, beside the noisy chunk and the time: the
// numbers that were observed and, where there are, pictures, as one vector
//     [numbers, encoder(oldest picture), ..., encoder(newest picture)].
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "calor/net/jit.h"
#include "calor/net/network.h"
#include "calor/net/picture_encoder.h"

namespace calor::net {

class ChunkCondition {
 public:
  // The encoder's parameters are declared, if there are pictures.
  ChunkCondition(Parameters& parameters, std::int64_t numbers, const PictureInput& pictures);

  // c, the size of the vector; 0: a network that is conditioned on nothing.
  std::int64_t width() const { return numbers_ + encoded_; }

  // The vector [N, c] from numbers [N, numbers] and pictures uint8 [N, count, C, H, W], in the type
  // of the parameters; without an encoder the numbers as they are. Error where they have another
  // size.
  at::Tensor encode(const at::Tensor& numbers, const at::Tensor& pictures,
                    Precision precision) const;

  // The vector [N, c] in `type`, encoded where the input has pictures. Only where c > 0.
  at::Tensor operator()(const NetworkInput& input, at::ScalarType type, Precision precision) const;

  // Error where the input is no chunk [N, A, 1, T] of this shape with such a condition, or output
  // tokens are asked for; `network` names the asker.
  void check(const NetworkInput& input, const ForwardContext& context, const PictureShape& shape,
             const char* network) const;

 private:
  void check_pictures(const at::Tensor& pictures) const;

  std::int64_t numbers_, encoded_ = 0;
  data::ObservedShape pictures_;
  std::optional<PictureEncoder> encoder_;
};

}  // namespace calor::net
