// What every network offers: a function of a noisy picture, its time and its label.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "calor/core/random.h"
#include "calor/net/parameters.h"
#include "calor/net/precision.h"

namespace calor::net {

struct NetworkInput {
  at::Tensor z;  // [N, C, H, W], fp32
  at::Tensor t;  // [N], fp32
  at::Tensor y;  // [N], int64; the number of classes means "no label"
};

// What a training step asks of a forward pass beyond its result.
struct ForwardContext {
  std::optional<RandomKey> dropout;  // set: dropout is on and driven by this key
  std::vector<std::int64_t> taps;    // blocks whose output tokens are wanted
  std::vector<at::Tensor> tokens;    // their outputs [N, L, D], picture tokens only, in order
};

class Network {
 public:
  virtual ~Network() = default;
  // The prediction [N, C, H, W], fp32.
  virtual at::Tensor forward(const NetworkInput& input, ForwardContext& context) = 0;
  at::Tensor forward(const NetworkInput& input) {
    ForwardContext context;
    return forward(input, context);
  }

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  // The type of the matrix products; weights, norms and results stay fp32.
  void set_precision(Precision precision) { precision_ = precision; }
  Precision precision() const { return precision_; }

 protected:
  Parameters parameters_;
  Precision precision_ = Precision::fp32;
};

}  // namespace calor::net
