// Laws of points in the plane, by name: what flow models are first tried on. All lie in the box
// [-4, 4]^2, can be drawn from without end, and have a density that is known exactly.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calor/core/random.h"

namespace calor::data {

constexpr double point_box = 4;  // half the side of the box

struct PointSetInfo {
  std::string name;
  std::string description;               // one sentence
  std::vector<std::string> class_names;  // empty: no labels
};

const std::vector<PointSetInfo>& known_point_sets();
// The set of that name; usage error, with the nearest name, where there is none.
const PointSetInfo& known_point_set(const std::string& name);

struct Points {
  at::Tensor points;  // float32 [n, 2]
  at::Tensor labels;  // int64 [n]: all 0 where the set has no classes
  std::vector<std::string> class_names;
};

// Point i is a function of the name and key.child(i) alone, so the first m of n points are those of
// a drawing of m, on any number of threads.
Points draw_labelled_points(const std::string& name, std::int64_t n, RandomKey key);
at::Tensor draw_points(const std::string& name, std::int64_t n, RandomKey key);

// The natural logarithm of the density at floating-point points [n, 2]: float64 [n], minus infinity
// where there is no mass. Points that a drawing gives always have a finite one.
at::Tensor point_log_density(const std::string& name, const at::Tensor& points);

}  // namespace calor::data
