// The laws with a direct formula: the checkerboard and the pinwheel.
#include "calor/data/point_law.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace calor::data {
namespace {

constexpr double no_mass = -std::numeric_limits<double>::infinity();

// Uniform on the eight squares of side 2 of [-4, 4)^2 whose column and row add up to an even
// number, the bottom left one among them.
class Checkerboard final : public PointLaw {
 public:
  DrawnPoint draw(const PointRandom& random) const override {
    const auto square = std::min(std::floor(8 * random.uniform[0]), 7.0);
    const double row = std::floor(square / 2);
    const double column = 2 * std::fmod(square, 2) + std::fmod(row, 2);
    return {.position = {inside(column, random.uniform[1]), inside(row, random.uniform[2])},
            .label = 0};
  }

  double log_density(const Vec2& position) const override {
    const double column = index_of(position[0]);
    const double row = index_of(position[1]);
    if (!(column >= 0 && column < 4 && row >= 0 && row < 4)) return no_mass;
    return std::fmod(column + row, 2) == 0 ? -std::log(32.0) : no_mass;
  }

 private:
  static double index_of(double coordinate) { return std::floor((coordinate + 4) / 2); }

  static double inside(double index, double u) {
    const double low = 2 * index - 4;
    return static_cast<double>(
        round_inside(low + 2 * u, low + 1, [&](double value) { return index_of(value) == index; }));
  }
};

// Arms of points at a distance from the centre, with noise across that grows with the distance;
// then the plane is turned at each radius by an angle that grows with the radius. The turn keeps
// areas, so the density is that of the straight arms at the point turned back.
class Pinwheel final : public PointLaw {
 public:
  DrawnPoint draw(const PointRandom& random) const override {
    const double along =
        middle + reach * parabolic(random.uniform[1], random.uniform[2], random.uniform[3]);
    const auto arm = static_cast<std::int64_t>(arms * random.uniform[0]);
    const Vec2 straight{along, deviation(along) * random.normal[0]};
    return {.position = turned(straight, angle_of(arm) + twist(straight)), .label = arm};
  }

  double log_density(const Vec2& position) const override {
    double density = 0;
    for (std::int64_t arm = 0; arm < arms; ++arm) {
      const Vec2 straight = turned(position, -angle_of(arm) - twist(position));
      const double radial = parabolic_density((straight[0] - middle) / reach) / reach;
      if (radial == 0) continue;
      const double s = deviation(straight[0]);
      const double z = straight[1] / s;
      density += radial * std::exp(-z * z / 2) / (s * std::sqrt(2 * std::numbers::pi)) / arms;
    }
    return std::log(density);
  }

 private:
  static constexpr std::int64_t arms = 5;
  static constexpr double middle = 1.75;  // at most sqrt(3.1^2 + (8.6 x 0.276)^2) = 3.92 is reached
  static constexpr double reach = 1.35;

  static double deviation(double along) { return 0.09 + 0.06 * along; }
  static double angle_of(std::int64_t arm) {
    return 2 * std::numbers::pi * static_cast<double>(arm) / arms;
  }
  static double twist(const Vec2& p) { return 0.6 * std::hypot(p[0], p[1]); }
  static Vec2 turned(const Vec2& p, double angle) {
    const double c = std::cos(angle);
    const double s = std::sin(angle);
    return {c * p[0] - s * p[1], s * p[0] + c * p[1]};
  }
};

}  // namespace

double parabolic(double u1, double u2, double u3) {
  return 2 * std::max(std::min(u1, u2), std::min(std::max(u1, u2), u3)) - 1;
}

double parabolic_density(double v) { return std::abs(v) < 1 ? 0.75 * (1 - v * v) : 0; }

std::unique_ptr<PointLaw> checkerboard_law() { return std::make_unique<Checkerboard>(); }

std::unique_ptr<PointLaw> pinwheel_law() { return std::make_unique<Pinwheel>(); }

}  // namespace calor::data
