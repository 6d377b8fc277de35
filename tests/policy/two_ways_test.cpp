// The environment with two equally good ways: its geometry against closed forms, its expert against
// the optimum, and that the mean of the two ways fails.
#include "calor/policy/two_ways.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>

namespace calor::policy {
namespace {

TEST(TwoWays, ShortestWays) {
  // In sight of the goal: the straight line.
  EXPECT_DOUBLE_EQ(two_ways_distance({0.5, 0.4}), std::hypot(0.5, 0.4));
  EXPECT_DOUBLE_EQ(two_ways_distance({0, 0.5}), 0.3);
  // Straight behind the disc, as far as the goal: two tangents and the arc that is left of half a
  // turn.
  const double d = 0.8, r = two_ways_radius;
  const double expected =
      2 * std::sqrt(d * d - r * r) + r * (std::numbers::pi - 2 * std::acos(r / d));
  EXPECT_NEAR(two_ways_distance({0, -d}), expected, 1e-15);
  // No disc, no detour; and a point on the rim has no first tangent.
  EXPECT_DOUBLE_EQ(two_ways_distance({0, -d}, 0), 1.6);
  const double rim = std::sqrt(d * d - r * r) + r * (std::numbers::pi - std::acos(r / d));
  EXPECT_NEAR(two_ways_distance({0, -r}), rim, 1e-15);
}

// The eikonal equation: away from the axis, where both ways tie, and from the goal the distance
// falls at rate 1 in the direction of the shortest way.
TEST(TwoWays, DistanceIsADistance) {
  for (int i = 0; i < 200; ++i) {
    const double angle = 0.1 * i, radius = 0.4 + 0.003 * i;
    const Vec2 p{radius * std::cos(angle), radius * std::sin(angle)};
    const double h = 1e-6;
    const double dx =
        (two_ways_distance({p[0] + h, p[1]}) - two_ways_distance({p[0] - h, p[1]})) / (2 * h);
    const double dy =
        (two_ways_distance({p[0], p[1] + h}) - two_ways_distance({p[0], p[1] - h})) / (2 * h);
    const double near_axis = std::abs(p[0]);
    if (near_axis < 1e-3 || std::hypot(p[0], p[1] - 0.8) < 1e-3) continue;
    EXPECT_NEAR(std::hypot(dx, dy), 1, 1e-6) << p[0] << ", " << p[1];
  }
}

TEST(TwoWays, LeftAndRightAreMirrorImages) {
  for (const std::uint32_t seed : {0U, 1U, 77U}) {
    TwoWays left, right;
    left.reset(seed);
    right.reset(seed);
    while (!left.over()) {
      const Vec2 l = two_ways_expert(left.position(), Way::left);
      const Vec2 r = two_ways_expert(right.position(), Way::right);
      EXPECT_NEAR(left.step(l).reward, right.step(r).reward, 1e-12);
      EXPECT_NEAR(left.position()[0], -right.position()[0], 1e-12);
      EXPECT_NEAR(left.position()[1], right.position()[1], 1e-12);
    }
    EXPECT_TRUE(left.success() && right.success());
  }
}

TEST(TwoWays, TheExpertIsAlmostOptimal) {
  int lefts = 0;
  constexpr int episodes = 200;
  for (std::uint32_t seed = 0; seed < episodes; ++seed) {
    const TwoWaysDemonstration demonstration = two_ways_demonstration(seed);
    const Vec2& start = demonstration.positions.front();
    EXPECT_EQ(start[0], 0);
    EXPECT_GE(start[1], -0.9);
    EXPECT_LE(start[1], -0.7);
    const auto steps = static_cast<std::int64_t>(demonstration.actions.size());
    ASSERT_EQ(demonstration.positions.size(), demonstration.actions.size() + 1);
    EXPECT_GE(steps, two_ways_least_steps(start));
    EXPECT_LE(steps, two_ways_least_steps(start) + 1);
    EXPECT_EQ(way_of(demonstration.positions), demonstration.way);
    for (const Vec2& p : demonstration.positions) {
      EXPECT_GE(std::hypot(p[0], p[1]), two_ways_radius);
    }
    lefts += demonstration.way == Way::left ? 1 : 0;
  }
  // A fair coin: 100 +- 4 standard deviations of sqrt(50).
  EXPECT_NEAR(lefts, episodes / 2, 28);
}

TEST(TwoWays, DisturbedDemonstrationsComeBack) {
  int successes = 0;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const TwoWaysDemonstration demonstration = two_ways_demonstration(seed, 0.02);
    const Vec2& last = demonstration.positions.back();
    successes += std::hypot(last[0], last[1] - 0.8) <= two_ways_tolerance ? 1 : 0;
  }
  EXPECT_EQ(successes, 50);
}

TEST(TwoWays, SaysWhichWayWasTaken) {
  for (const Way way : {Way::left, Way::right}) {
    TwoWays environment;
    environment.reset(3);
    EXPECT_EQ(environment.way(), "");
    while (!environment.over()) environment.step(two_ways_expert(environment.position(), way));
    EXPECT_EQ(environment.way(), way == Way::left ? "left" : "right");
    environment.reset(3);
    EXPECT_EQ(environment.way(), "");
  }
}

TEST(TwoWays, TheMeanOfTheWaysIsStuck) {
  TwoWays environment;
  environment.reset(5);
  while (!environment.over()) {
    const Vec2 l = two_ways_expert(environment.position(), Way::left);
    const Vec2 r = two_ways_expert(environment.position(), Way::right);
    environment.step(Vec2{(l[0] + r[0]) / 2, (l[1] + r[1]) / 2});
  }
  EXPECT_FALSE(environment.success());
  EXPECT_EQ(environment.steps(), environment.spec().max_steps);
  // In front of the disc, on the axis: there the two tangents cancel.
  EXPECT_NEAR(environment.position()[0], 0, 1e-9);
  EXPECT_NEAR(environment.position()[1], -two_ways_radius - 0.02, 0.02);
  EXPECT_FALSE(way_of(std::vector<Vec2>{environment.position()}).has_value());
}

// Pictures are those of each step before its action.
TEST(TwoWays, RecordsPictures) {
  const auto recorded = two_ways_demonstrations(4, 2, 0.02, 64);
  const std::map<std::string, at::Tensor> arrays(recorded.begin(), recorded.end());
  const at::Tensor& pictures = arrays.at("img");
  EXPECT_EQ(pictures.sizes(), (std::vector<std::int64_t>{arrays.at("action").size(0), 64, 64, 3}));
  TwoWays environment;
  environment.reset(5);
  const std::int64_t first = arrays.at("episode_ends")[0].item<std::int64_t>();
  EXPECT_TRUE(at::equal(environment.picture({.side = 64}).permute({1, 2, 0}), pictures[first]));
  EXPECT_FALSE(at::equal(pictures[first], pictures[first + 5]));
  EXPECT_EQ(two_ways_demonstrations(4, 1, 0.02).size(), 3U);
}

// The point stops at the rim, wherever it comes from, and at the edges of the plane.
TEST(TwoWays, NothingEntersTheDisc) {
  TwoWays environment;
  environment.reset(9);
  for (int i = 0; i < 3000; ++i) {
    const double angle = 2.4 * i;
    const double far = i % 7 == 0 ? 1e5 : 0.3;
    environment.step(Vec2{far * std::cos(angle), far * std::sin(angle)});
    const Vec2 p = environment.position();
    ASSERT_GE(std::hypot(p[0], p[1]), two_ways_radius - 1e-12) << i;
    ASSERT_LE(std::max(std::abs(p[0]), std::abs(p[1])), 1);
  }
}

}  // namespace
}  // namespace calor::policy
