// What items are conditioned on.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::flow {

struct Given {
  at::Tensor labels;         // int64 [N]; items().classes() means "no label"
  at::Tensor condition;      // fp32 [N, c]; undefined where the model has none
  at::Tensor pictures = {};  // uint8 [N, count, C, H, W] (data::ObservedShape), likewise

  std::int64_t size() const { return labels.size(0); }
  Given narrow(std::int64_t start, std::int64_t count) const;
  // The rows of an int64 or bool index.
  Given select(const at::Tensor& rows) const;
  Given to(at::Device device) const;
  // The same without labels (`none`: the number that means so).
  Given without_labels(std::int64_t none) const;
  // One after the other.
  static Given cat(const Given& a, const Given& b);
};

}  // namespace calor::flow
