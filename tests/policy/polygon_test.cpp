// Areas of intersections against closed forms and identities.
#include "calor/policy/polygon.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "calor/policy/pusht.h"

namespace calor::policy {
namespace {

using Square = std::array<Vec2, 4>;

Square rectangle(double x0, double y0, double x1, double y1) {
  return {{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}};
}

Square moved(const Square& square, const Vec2& by, double angle) {
  Square out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = placed(square[i], by, angle);
  return out;
}

double common(const Square& a, const Square& b) { return signed_area(intersection(a, b)); }

TEST(Polygon, SignedAreas) {
  EXPECT_EQ(signed_area(rectangle(0, 0, 3, 2)), 6);
  const std::array<Vec2, 3> clockwise{{{0, 0}, {0, 1}, {1, 0}}};
  EXPECT_EQ(signed_area(clockwise), -0.5);
  EXPECT_EQ(signed_area({}), 0);
}

TEST(Polygon, RectanglesAlongTheAxes) {
  EXPECT_EQ(common(rectangle(0, 0, 4, 4), rectangle(1, 2, 6, 9)), 6);
  EXPECT_EQ(common(rectangle(0, 0, 4, 4), rectangle(4, 0, 5, 4)), 0);  // share an edge
  EXPECT_EQ(common(rectangle(0, 0, 4, 4), rectangle(5, 5, 6, 6)), 0);
  EXPECT_EQ(common(rectangle(0, 0, 4, 4), rectangle(1, 1, 2, 2)), 1);  // contains
  EXPECT_EQ(common(rectangle(1, 1, 2, 2), rectangle(0, 0, 4, 4)), 1);
}

// A unit square and the same square turned by a about its centre have in common 2 / (1 + sin a +
// cos a): for 45 degrees the regular octagon 2 (sqrt 2 - 1).
TEST(Polygon, TurnedSquares) {
  const Square square = rectangle(-0.5, -0.5, 0.5, 0.5);
  for (const double a : {1e-9, 0.1, std::numbers::pi / 4, 1.3}) {
    EXPECT_NEAR(common(square, moved(square, {}, a)), 2 / (1 + std::sin(a) + std::cos(a)), 1e-15)
        << a;
  }
}

TEST(Polygon, IdentitiesOfIntersections) {
  const Square a = rectangle(-60, 0, 60, 30);
  for (int i = 0; i < 500; ++i) {
    const double angle = 0.37 * i;
    const Square b =
        moved(rectangle(-15, 30, 15, 120), {std::sin(1.7 * i) * 60, 40.0 - i % 90}, angle);
    const double area = common(a, b);
    EXPECT_NEAR(area, common(b, a), 1e-9);
    EXPECT_GE(area, -1e-9);
    EXPECT_LE(area, 2700 + 1e-9);
    // Cutting one of them in two loses nothing and counts nothing twice.
    const double halves = common(rectangle(-60, 0, 7, 30), b) + common(rectangle(7, 0, 60, 30), b);
    EXPECT_NEAR(area, halves, 1e-9);
    // Moving both changes nothing.
    Square c{}, d{};
    for (std::size_t k = 0; k < 4; ++k) {
      c[k] = placed(a[k], {256, 100}, angle);
      d[k] = placed(b[k], {256, 100}, angle);
    }
    EXPECT_NEAR(area, common(c, d), 1e-9);
  }
}

TEST(Polygon, CoverageOfKnownPoses) {
  PushtPose pose = pusht_goal;
  EXPECT_NEAR(pusht_coverage(pose), 1, 1e-14);
  pose.angle += 2 * std::numbers::pi;
  EXPECT_NEAR(pusht_coverage(pose), 1, 1e-12);
  // Moved along the goal's own axis by d: both parts slide over themselves, and the stem over the
  // bar's place: (120 (30 - d) + 30 (90 - d) + 30 d) / 6300.
  const double d = 10;
  pose = pusht_goal;
  pose.block = placed({0, d}, pusht_goal.block, pusht_goal.angle);
  EXPECT_NEAR(pusht_coverage(pose), (120 * (30 - d) + 30 * (90 - d) + 30 * d) / 6300, 1e-13);
  pose.block = {0, 0};
  EXPECT_EQ(pusht_coverage(pose), 0);
}

}  // namespace
}  // namespace calor::policy
