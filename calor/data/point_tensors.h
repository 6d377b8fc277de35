// Points as tensors [n, 2], made or looked at one by one on all threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>

namespace calor::data {

// float32 [n, 2]: point i is make(i). Usage error where n is negative.
at::Tensor make_points(std::int64_t n,
                       const std::function<std::array<float, 2>(std::int64_t)>& make);

// float64 [n]: value(point) for floating-point points [n, 2]; NaN for a point that is NaN, minus
// infinity for one that is infinite. Error where `points` has another shape or type.
at::Tensor log_density_at(const at::Tensor& points,
                          const std::function<double(const std::array<double, 2>&)>& value);

// Error unless `points` is a floating-point tensor [n, 2].
void check_points(const at::Tensor& points);

}  // namespace calor::data
