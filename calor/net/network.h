// What every network offers: a function of a noisy picture, its time and its label; of some also
// its Jacobian with respect to the picture.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "calor/core/random.h"
#include "calor/net/parameters.h"
#include "calor/net/precision.h"

namespace calor::net {

struct NetworkInput {
  at::Tensor z;               // [N, C, H, W], fp32
  at::Tensor t;               // [N], fp32
  at::Tensor y;               // [N], int64; the number of classes means "no label"
  at::Tensor condition = {};  // [N, c], or undefined where the network takes none
  at::Tensor pictures = {};   // uint8 [N, count, C, H, W]; undefined where the network takes none,
                              // and where the condition is an encoded one
};

// A prediction [N, C, H, W] and its Jacobian J = d prediction / d z, [d, d] per row with d = C H W,
// applied to k directions: products [N, k, d].
struct Tangents {
  at::Tensor prediction, products;
};
// A prediction [N, C, H, W] and the trace of its Jacobian, [N].
struct Divergence {
  at::Tensor prediction, trace;
};

// What a training step asks of a forward pass beyond its result.
struct ForwardContext {
  std::optional<RandomKey> dropout;  // set: dropout is on and driven by this key
  std::vector<std::int64_t> taps;    // blocks whose output tokens are wanted
  std::vector<at::Tensor> tokens;    // their outputs [N, L, D], picture tokens only, in order
  // Whoever asks calls backward() before the next forward pass, for the parameters' gradients
  // alone: on a GPU both passes may be recordings (replay.h).
  bool only_trains = false;
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

  // Condition and pictures as one condition without pictures, [N, c']: what does not depend on the
  // state is computed once, not in every evaluation. Without pictures the condition itself.
  virtual at::Tensor encode(const at::Tensor& condition, const at::Tensor& pictures) const;

  // Whether the two functions below are there. Both are exact and build no autograd graph.
  virtual bool has_tangents() const { return false; }
  // directions [N, k, d], or [k, d], the same for every row.
  virtual Tangents forward_with_tangents(const NetworkInput& input, const at::Tensor& directions);
  virtual Divergence forward_with_divergence(const NetworkInput& input);

  // Keeps the weights as the products take them, where that saves time in each call; results keep
  // their bits. For a network on the CPU whose weights, precision and device no longer change.
  virtual void pack_weights() {}

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
