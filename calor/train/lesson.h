// What a stage learns where that is not the objective on its path: the lessons of students are in
// calor/distill/.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "calor/core/random.h"
#include "calor/flow/stage.h"

namespace calor::train {

class Lesson {
 public:
  virtual ~Lesson() = default;
  // The mean loss, differentiable, on these rows of the task's set; what is random about a row
  // follows its key. `average` [count]: the second average of the network's weights (train.ema2).
  virtual at::Tensor loss(flow::Stage& stage, std::span<const std::int64_t> rows,
                          std::span<const RandomKey> keys, const at::Tensor& average) const = 0;
  // The same of held-out rows, by which the best weights are chosen: nothing random, no gradient.
  virtual at::Tensor held_out_loss(flow::Stage& stage,
                                   std::span<const std::int64_t> rows) const = 0;
};

}  // namespace calor::train
