#include "calor/flow/given.h"

#include <ATen/ATen.h>

namespace calor::flow {
namespace {

template <class Change>
Given changed(const Given& given, const Change& change) {
  const auto where_defined = [&](const at::Tensor& x) { return x.defined() ? change(x) : x; };
  return {.labels = change(given.labels),
          .condition = where_defined(given.condition),
          .pictures = where_defined(given.pictures)};
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
  return {.labels = at::full_like(labels, none), .condition = condition, .pictures = pictures};
}

Given Given::cat(const Given& a, const Given& b) {
  const auto joined = [](const at::Tensor& x, const at::Tensor& y) {
    return x.defined() ? at::cat({x, y}) : x;
  };
  return {.labels = at::cat({a.labels, b.labels}),
          .condition = joined(a.condition, b.condition),
          .pictures = joined(a.pictures, b.pictures)};
}

}  // namespace calor::flow
