#include "calor/net/make_network.h"

namespace calor::net {

void declare_kind(config::Options& options, NetworkKind& kind) {
  static constexpr config::Choice<NetworkKind> kinds[] = {
      {"jit", NetworkKind::jit, "image transformer, net.*"},
      {"unet", NetworkKind::unet, "U-Net for pictures, unet.*"},
      {"mlp", NetworkKind::mlp, "multi-layer perceptron for rows, mlp.*"},
      {"chunk-unet", NetworkKind::chunk_unet, "1-D U-Net for chunks of actions, chunk.*"},
      {"chunk-transformer", NetworkKind::chunk_transformer,
       "transformer for chunks of actions, chunk_transformer.*"},
  };
  options.add("net.kind", kind, kinds, "the kind of network");
}

}  // namespace calor::net
