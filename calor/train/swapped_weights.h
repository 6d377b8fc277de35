// Other weights in place of a network's own, for a while.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::train {

// Puts `other` [count] into the flat buffer for as long as this lives.
class SwappedWeights {
 public:
  SwappedWeights(at::Tensor flat, const at::Tensor& other);
  ~SwappedWeights();
  SwappedWeights(const SwappedWeights&) = delete;
  SwappedWeights& operator=(const SwappedWeights&) = delete;

 private:
  at::Tensor flat_, own_;
};

}  // namespace calor::train
