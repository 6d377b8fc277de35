// What a program writes for its peer to compare: weights and gradients under their names.
#pragma once

#include "calor/io/safetensors.h"
#include "calor/net/parameters.h"

namespace calor::bench {

// weight.NAME and gradient.NAME of every parameter.
inline io::TensorFile weights_and_gradients(const net::Parameters& parameters) {
  io::TensorFile file;
  for (const auto& [name, tensor] : parameters.named()) {
    file.tensors.emplace_back("weight." + name, tensor);
  }
  for (const auto& [name, tensor] : parameters.named(parameters.flat_gradient())) {
    file.tensors.emplace_back("gradient." + name, tensor);
  }
  return file;
}

}  // namespace calor::bench
