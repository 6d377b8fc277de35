#include "calor/policy/polygon.h"

#include <cmath>

namespace calor::policy {
namespace {

// Twice the area of the triangle a, b, p: positive where p is on the inner side of the edge ab.
double side_of(const Vec2& a, const Vec2& b, const Vec2& p) {
  return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
}

// The part of the polygon on the inner side of the edge ab.
std::vector<Vec2> cut(std::span<const Vec2> polygon, const Vec2& a, const Vec2& b) {
  std::vector<Vec2> kept;
  kept.reserve(polygon.size() + 1);
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Vec2& p = polygon[i];
    const Vec2& q = polygon[(i + 1) % polygon.size()];
    const double p_side = side_of(a, b, p);
    const double q_side = side_of(a, b, q);
    if (p_side >= 0) kept.push_back(p);
    if ((p_side > 0 && q_side < 0) || (p_side < 0 && q_side > 0)) {
      const double t = p_side / (p_side - q_side);
      kept.push_back({p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])});
    }
  }
  return kept;
}

}  // namespace

Vec2 placed(const Vec2& local, const Vec2& position, double angle) {
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  return {c * local[0] - s * local[1] + position[0], s * local[0] + c * local[1] + position[1]};
}

double signed_area(std::span<const Vec2> corners) {
  if (corners.size() < 3) return 0;
  // Relative to one corner, so that a small polygon far from the origin loses no digits.
  const Vec2& origin = corners[0];
  double twice = 0;
  for (std::size_t i = 1; i + 1 < corners.size(); ++i) {
    twice += side_of(origin, corners[i], corners[i + 1]);
  }
  return twice / 2;
}

std::vector<Vec2> intersection(std::span<const Vec2> polygon, std::span<const Vec2> window) {
  std::vector<Vec2> kept(polygon.begin(), polygon.end());
  for (std::size_t i = 0; i < window.size() && !kept.empty(); ++i) {
    kept = cut(kept, window[i], window[(i + 1) % window.size()]);
  }
  return kept;
}

}  // namespace calor::policy
