// What networks do that encode nothing and have no tangents.
#include "calor/net/network.h"

#include <ATen/ATen.h>

#include "calor/core/error.h"

namespace calor::net {
namespace {

Error no_tangents() {
  return {"a network with forward-mode tangents (an MLP)", "a network without them",
          "take the divergence by vector-Jacobian products instead"};
}

}  // namespace

at::Tensor Network::encode(const at::Tensor& condition, const at::Tensor& pictures) const {
  if (!pictures.defined()) return condition;
  throw Error("a condition of numbers", "pictures",
              "take net.kind = \"chunk-unet\" or \"chunk-transformer\"");
}

Tangents Network::forward_with_tangents(const NetworkInput& /*input*/,
                                        const at::Tensor& /*directions*/) {
  throw no_tangents();
}

Divergence Network::forward_with_divergence(const NetworkInput& /*input*/) { throw no_tangents(); }

}  // namespace calor::net
