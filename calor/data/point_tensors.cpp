#include "calor/data/point_tensors.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>

#include "calor/core/error.h"

namespace calor::data {

at::Tensor make_points(std::int64_t n,
                       const std::function<std::array<float, 2>(std::int64_t)>& make) {
  if (n < 0) {
    throw usage_error("a number of points of at least 0", fmt::to_string(n),
                      "ask for as many points as you need");
  }
  at::Tensor points = at::empty({n, 2}, at::kFloat);
  auto* const out = points.data_ptr<float>();
  at::parallel_for(0, n, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto point = make(i);
      out[2 * i] = point[0];
      out[2 * i + 1] = point[1];
    }
  });
  return points;
}

at::Tensor log_density_at(const at::Tensor& points,
                          const std::function<double(const std::array<double, 2>&)>& value) {
  check_points(points);
  const at::Tensor in = points.to(at::kCPU, at::kDouble).contiguous();
  at::Tensor values = at::empty({in.size(0)}, at::kDouble);
  const auto* const positions = in.const_data_ptr<double>();
  auto* const out = values.data_ptr<double>();
  at::parallel_for(0, in.size(0), 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::array<double, 2> point{positions[2 * i], positions[2 * i + 1]};
      const double size = std::abs(point[0]) + std::abs(point[1]);
      if (std::isfinite(size)) {
        out[i] = value(point);
      } else {
        out[i] = std::isnan(size) ? size : -std::numeric_limits<double>::infinity();
      }
    }
  });
  return values;
}

void check_points(const at::Tensor& points) {
  const bool right =
      points.defined() && points.is_floating_point() && points.dim() == 2 && points.size(1) == 2;
  if (right) return;
  throw Error("points in the plane, a floating-point tensor of shape [n, 2]",
              points.defined()
                  ? fmt::format("{} of shape [{}]", c10::toString(points.scalar_type()),
                                fmt::join(points.sizes(), ", "))
                  : "no tensor",
              "use data with two columns");
}

}  // namespace calor::data
