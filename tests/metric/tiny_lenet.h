// A LeNet of random weights, for tests that need a classifier and no reading.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>

#include "calor/io/safetensors.h"

namespace calor::metric {

inline io::TensorFile random_lenet(std::uint64_t seed = 1) {
  auto generator = at::detail::createCPUGenerator(seed);
  io::TensorFile file;
  const auto add = [&](const std::string& name, at::IntArrayRef shape) {
    file.tensors.emplace_back(name, at::randn(shape, generator) * 0.2);
  };
  add("convnet.c1.weight", {6, 1, 5, 5});
  add("convnet.c1.bias", {6});
  add("convnet.c3.weight", {16, 6, 5, 5});
  add("convnet.c3.bias", {16});
  add("convnet.c5.weight", {120, 16, 5, 5});
  add("convnet.c5.bias", {120});
  add("fc.f6.weight", {84, 120});
  add("fc.f6.bias", {84});
  add("fc.f7.weight", {10, 84});
  add("fc.f7.bias", {10});
  return file;
}

}  // namespace calor::metric
