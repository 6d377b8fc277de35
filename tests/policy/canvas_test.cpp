// The rasteriser against pictures that can be counted by hand. What it owes the original is held by
// the pictures of PushT.
#include "calor/policy/canvas.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace calor::policy {
namespace {

constexpr Colour black{0, 0, 0};
constexpr Colour white{255, 255, 255};

std::int64_t count_white(const Canvas& canvas) {
  return canvas.picture()[0].eq(255).sum().item<std::int64_t>();
}

TEST(Canvas, RectanglesHaveBothEnds) {
  Canvas canvas(20, black);
  const std::array<Pixel, 4> corners{{{2, 3}, {8, 3}, {8, 6}, {2, 6}}};
  canvas.fill_polygon(corners, white);
  EXPECT_EQ(count_white(canvas), 7 * 4);
  EXPECT_EQ(canvas.at({8, 6}), white);
  EXPECT_EQ(canvas.at({9, 6}), black);
}

TEST(Canvas, WhatIsOutsideIsCutOff) {
  Canvas canvas(10, black);
  const std::array<Pixel, 4> corners{{{-50, -50}, {500, -50}, {500, 500}, {-50, 500}}};
  canvas.fill_polygon(corners, white);
  EXPECT_EQ(count_white(canvas), 100);
  Canvas other(10, black);
  other.fill_disc({-100, 5}, 20, white);
  other.thick_line({-5, -5}, {-5, 30}, 4, white);
  other.smooth_line({-5, 20}, {-1, 25}, white);
  other.cross({50, 50}, 8, 2, white);
  EXPECT_EQ(count_white(other), 0);
  const double nowhere = std::numeric_limits<double>::infinity();
  EXPECT_EQ(nearest_pixel({nowhere, -nowhere}).x, 100000);
  EXPECT_EQ(nearest_pixel({0.5, 1.5}).x, 0);  // halves to even
  EXPECT_EQ(nearest_pixel({0.5, 1.5}).y, 2);
}

TEST(Canvas, Discs) {
  for (const std::int64_t radius : {2, 11, 15, 90}) {
    Canvas canvas(200, black);
    canvas.fill_disc({100, 100}, radius, white);
    const at::Tensor ink = canvas.picture()[0];
    EXPECT_TRUE(at::equal(ink, ink.t()));
    // Even in width: columns 100 - radius to 99 + radius.
    EXPECT_EQ(canvas.at({100 - radius, 100}), white);
    EXPECT_EQ(canvas.at({99 + radius, 100}), white);
    EXPECT_EQ(canvas.at({100 + radius, 100}), black);
    const auto r = static_cast<double>(radius);
    // Pixels along the rim may go either way.
    EXPECT_NEAR(static_cast<double>(count_white(canvas)), std::numbers::pi * r * r, 4 * r);
  }
}

TEST(Canvas, LinesAndCrosses) {
  Canvas canvas(40, black);
  canvas.thick_line({5, 10}, {24, 10}, 4, white);
  EXPECT_EQ(count_white(canvas), 20 * 4);
  Canvas cross(40, black);
  cross.cross({20, 20}, 8, 1, white);
  EXPECT_EQ(count_white(cross), 17);
  // The two pixels of a smooth line share its colour.
  Canvas smooth(40, black);
  smooth.smooth_line({2, 2}, {6, 3}, white);
  for (std::int64_t x = 2; x <= 6; ++x) {
    EXPECT_NEAR(smooth.at({x, 2})[0] + smooth.at({x, 3})[0], 255, 1) << x;
  }
  EXPECT_EQ(smooth.at({4, 2})[0], 127);
}

TEST(Canvas, ReductionKeepsConstantsAndSlopes) {
  const Canvas grey(512, {7, 100, 255});
  EXPECT_EQ(grey.reduced(96).at({50, 95}), (Colour{7, 100, 255}));
  // Columns 2i and 2i + 1 are i: halving takes their mean.
  Canvas steps(256, black);
  for (std::int64_t x = 0; x < 256; ++x) {
    const auto value = static_cast<std::uint8_t>(x / 2);
    const std::array<Pixel, 4> column{{{x, 0}, {x, 255}, {x, 255}, {x, 0}}};
    steps.fill_polygon(column, {value, value, value});
  }
  const Canvas half = steps.reduced(128);
  for (std::int64_t x = 0; x < 128; ++x) EXPECT_EQ(half.at({x, 64})[0], x);
}

}  // namespace
}  // namespace calor::policy
