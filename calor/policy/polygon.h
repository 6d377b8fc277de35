// Areas of convex polygons and of what two of them have in common.
#pragma once

#include <array>
#include <span>
#include <vector>

namespace calor::policy {

using Vec2 = std::array<double, 2>;

// The point `local` of a body that is turned by `angle` and then moved to `position`:
// [[cos, -sin], [sin, cos]] local + position.
Vec2 placed(const Vec2& local, const Vec2& position, double angle);

// Half the sum of cross products of neighbouring corners; positive where the corners go round from
// x towards y.
double signed_area(std::span<const Vec2> corners);

// The corners of what two convex polygons, whose corners both go round from x towards y, have in
// common, by cutting `polygon` with each edge of `window` in turn (Sutherland and Hodgman, 1974):
// exact up to rounding. Empty, or without area, where they do not overlap.
std::vector<Vec2> intersection(std::span<const Vec2> polygon, std::span<const Vec2> window);

}  // namespace calor::policy
