// The way of items through one map: their states at times from its right end to its left one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "calor/flow/given.h"

namespace calor::distill {

struct Way {
  std::vector<double> times;       // of the map, 0 = the right end .. 1 = the left one
  std::vector<at::Tensor> states;  // at each time [count, C, H, W], fp32 or fp16, CPU
  flow::Given given;               // of each item, CPU

  std::int64_t pieces() const { return static_cast<std::int64_t>(times.size()) - 1; }
  // Some of the items.
  Way narrow(std::int64_t first, std::int64_t count) const;
  // Every `stride`-th time; pieces() is a multiple of it.
  Way every(std::int64_t stride) const;
  // fp32 [rows, C, H, W]: the state of each row at its own place, a number in times.
  at::Tensor at(std::span<const std::int64_t> rows, std::span<const std::int64_t> places) const;
  // fp32 [rows]: the times of places.
  at::Tensor times_at(std::span<const std::int64_t> places) const;
};

}  // namespace calor::distill
