#include "calor/train/swapped_weights.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

namespace calor::train {

SwappedWeights::SwappedWeights(at::Tensor flat, const at::Tensor& other)
    : flat_(std::move(flat)), own_(flat_.detach().clone()) {
  const c10::NoGradGuard no_grad;
  flat_.copy_(other);
}

SwappedWeights::~SwappedWeights() {
  const c10::NoGradGuard no_grad;
  flat_.copy_(own_);
}

}  // namespace calor::train
