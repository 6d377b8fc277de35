#include "calor/report/curve_plot.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::report {
namespace {

constexpr Colour red = {255, 0, 0}, blue = {0, 0, 255};

Curve line(double from, double to, Colour colour) {
  return {.name = "line",
          .x = at::linspace(0, 1, 11, at::kDouble),
          .y = at::linspace(from, to, 11, at::kDouble),
          .colour = colour};
}

bool has(const at::Tensor& picture, std::int64_t y, std::int64_t x, const Colour& colour) {
  for (std::int64_t c = 0; c < 3; ++c) {
    if (picture[c][y][x].item<std::uint8_t>() != colour[static_cast<std::size_t>(c)]) return false;
  }
  return true;
}

// The rows of a column that have this colour.
std::vector<std::int64_t> rows_with(const at::Tensor& picture, std::int64_t x,
                                    const Colour& colour) {
  std::vector<std::int64_t> rows;
  for (std::int64_t y = 0; y < picture.size(1); ++y) {
    if (has(picture, y, x, colour)) rows.push_back(y);
  }
  return rows;
}

TEST(CurvePlot, CurvesLieWhereTheirValuesAre) {
  const CurveFrame frame{.width = 300, .height = 240, .x_name = "x"};
  const at::Tensor flat = curve_picture({line(1, 1, red), line(2, 2, blue)}, frame);
  ASSERT_EQ(flat.sizes(), at::IntArrayRef({3, 240, 300}));
  const auto low = rows_with(flat, 120, red);
  const auto high = rows_with(flat, 120, blue);
  ASSERT_FALSE(low.empty());
  ASSERT_FALSE(high.empty());
  EXPECT_GT(low.front(), high.back() + 100);
  const at::Tensor rising = curve_picture({line(0, 1, red)}, frame);
  EXPECT_GT(rows_with(rising, 100, red).front(), rows_with(rising, 130, red).front() + 10);
  const CurveFrame powers{.width = 300, .height = 240, .x_name = "x", .logarithmic = true};
  const at::Tensor scale =
      curve_picture({line(1, 1, red), line(10, 10, blue), line(100, 100, red)}, powers);
  const auto ends = rows_with(scale, 120, red);
  const auto middle = rows_with(scale, 120, blue);
  ASSERT_FALSE(middle.empty());
  EXPECT_NEAR(static_cast<double>(ends.front() + ends.back()),
              static_cast<double>(middle.front() + middle.back()), 2);
}

TEST(CurvePlot, WhatCannotBeDrawn) {
  EXPECT_THROW(curve_picture({}, {}), Error);
  EXPECT_THROW(curve_picture({line(0, 1, red)}, {.logarithmic = true}), Error);
  EXPECT_THROW(curve_picture({line(0, NAN, red)}, {}), Error);
  EXPECT_THROW(curve_picture({line(0, 1, red)}, {.width = 20}), Error);
  Curve backwards = line(0, 1, red);
  backwards.x = backwards.x.flip(0);
  EXPECT_THROW(curve_picture({backwards}, {}), Error);
}

}  // namespace
}  // namespace calor::report
