// The kinds of networks that a stage can take, behind one function.
#pragma once

#include <memory>

#include "calor/config/options.h"
#include "calor/net/chunk_transformer.h"
#include "calor/net/chunk_unet.h"
#include "calor/net/jit.h"
#include "calor/net/mlp.h"
#include "calor/net/unet.h"

namespace calor::net {

enum class NetworkKind { jit, unet, mlp, chunk_unet, chunk_transformer };

// Whether it plans chunks of actions from what was observed.
constexpr bool is_for_chunks(NetworkKind kind) {
  return kind == NetworkKind::chunk_unet || kind == NetworkKind::chunk_transformer;
}

void declare_kind(config::Options& options, NetworkKind& kind);

}  // namespace calor::net
