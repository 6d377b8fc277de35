// What a two-dimensional law of points can do: draw one point from its own random numbers, and say
// its density. point_sets.h gives the laws their names.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <memory>

namespace calor::data {

using Vec2 = std::array<double, 2>;

// The random numbers of one point. The normals come from 52 bits by Box and Muller's method, so
// none is beyond 8.6: a law whose noise has 8.6 deviations of room never leaves its box.
struct PointRandom {
  std::array<double, 5> uniform{};  // in (0, 1)
  Vec2 normal{};
};

struct DrawnPoint {
  Vec2 position{};
  std::int64_t label = 0;
};

class PointLaw {
 public:
  virtual ~PointLaw() = default;
  virtual DrawnPoint draw(const PointRandom& random) const = 0;
  // The natural logarithm of the density; minus infinity where there is no mass.
  virtual double log_density(const Vec2& position) const = 0;
};

// The law on (-1, 1) with density (3/4)(1 - v^2), which is that of the median of three uniform
// numbers: compact, and in closed form.
double parabolic(double u1, double u2, double u3);
double parabolic_density(double v);

// `value` in single precision, moved towards `middle` until `inside` holds: rounding must not carry
// a point over an edge to where there is no mass.
template <class Inside>
float round_inside(double value, double middle, const Inside& inside) {
  auto rounded = static_cast<float>(value);
  while (!inside(static_cast<double>(rounded))) {
    rounded = std::nextafter(rounded, static_cast<float>(middle));
  }
  return rounded;
}

std::unique_ptr<PointLaw> checkerboard_law();
std::unique_ptr<PointLaw> pinwheel_law();
// noisy_curves.cpp
std::unique_ptr<PointLaw> eight_gaussians_law();
std::unique_ptr<PointLaw> rings_law();
std::unique_ptr<PointLaw> two_moons_law();
std::unique_ptr<PointLaw> spirals_law();
// rose.cpp, tree.cpp
std::unique_ptr<PointLaw> rose_law();
std::unique_ptr<PointLaw> tree_law();

}  // namespace calor::data
