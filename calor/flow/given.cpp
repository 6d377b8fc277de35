#include "calor/flow/given.h"

#include <ATen/ATen.h>

namespace calor::flow {
namespace {

template <class Change>
Given changed(const Given& given, const Change& change) {
  return {.labels = change(given.labels),
          .condition = given.condition.defined() ? change(given.condition) : given.condition};
}

}  // namespace

Given Given::narrow(std::int64_t start, std::int64_t count) const {
  return changed(*this, [&](const at::Tensor& x) { return x.narrow(0, start, count); });
}

Given Given::select(const at::Tensor& rows) const {
  return changed(*this, [&](const at::Tensor& x) { return x.index({rows}); });
}

Given Given::to(at::Device device) const {
  return changed(*this, [&](const at::Tensor& x) { return x.to(device); });
}

Given Given::without_labels(std::int64_t none) const {
  return {.labels = at::full_like(labels, none), .condition = condition};
}

Given Given::cat(const Given& a, const Given& b) {
  return {.labels = at::cat({a.labels, b.labels}),
          .condition = a.condition.defined() ? at::cat({a.condition, b.condition}) : a.condition};
}

}  // namespace calor::flow
