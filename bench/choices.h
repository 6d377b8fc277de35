// What the programs' flags --precision and --products name. Their command lines let only these
// names through.
#pragma once

#include <string>

#include "calor/net/precision.h"

namespace calor::bench {

// "fp32", "bf16" or "auto".
inline net::Precision precision_of(const std::string& name) {
  if (name == "bf16") return net::Precision::bf16;
  return name == "fp32" ? net::Precision::fp32 : net::Precision::automatic;
}

// "standard", "onednn" or "auto".
inline net::Products products_of(const std::string& name) {
  if (name == "onednn") return net::Products::onednn;
  return name == "standard" ? net::Products::standard : net::Products::automatic;
}

}  // namespace calor::bench
