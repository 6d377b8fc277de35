#include "calor/report/chart.h"

#include <gtest/gtest.h>

#include <limits>

#include "calor/report/markup.h"

namespace calor::report {
namespace {

// The chart's room is 64 to 490 px from left to right and 352 to 34 px from bottom to top; the axes
// reach 5 % beyond the points, so the ends stand 1/22 of the room from the edges.
TEST(Chart, PointsStandWhereTheyBelong) {
  const Chart chart{.title = "t",
                    .x_label = "x",
                    .y_label = "y",
                    .curves = {{.name = "c", .x = {0, 1}, .y = {2, 4}}}};
  const std::string svg = svg_chart(chart);
  EXPECT_NE(svg.find("d=\"M83.4 337.5 L470.6 48.5\""), std::string::npos) << svg;
}

TEST(Chart, LeavesOutWhatCannotBeShown) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Chart chart{.title = "t",
              .x_label = "x",
              .y_label = "y",
              .log_y = true,
              .curves = {{.name = "c", .x = {0, 1, 2}, .y = {nan, 0, 1}}}};
  const std::string one = svg_chart(chart);
  EXPECT_EQ(one.find("nan"), std::string::npos);
  EXPECT_EQ(one.find("inf"), std::string::npos);
  EXPECT_NE(one.find("<circle"), std::string::npos);
  chart.curves[0].y[2] = nan;
  EXPECT_NE(svg_chart(chart).find("nothing measured yet"), std::string::npos);
}

// A heading takes the first row, and moves the names one row down.
TEST(Chart, TheLegendHasAHeadingWhereThereIsOne) {
  Chart chart{.title = "t",
              .x_label = "x",
              .y_label = "y",
              .curves = {{.name = "linear", .x = {0, 1}, .y = {2, 4}}}};
  EXPECT_NE(svg_chart(chart).find("y=\"46.0\" text-anchor=\"start\">linear<"), std::string::npos)
      << svg_chart(chart);
  chart.legend = "path";
  const std::string svg = svg_chart(chart);
  EXPECT_NE(svg.find("y=\"46.0\" text-anchor=\"start\">path<"), std::string::npos) << svg;
  EXPECT_NE(svg.find("y=\"64.0\" text-anchor=\"start\">linear<"), std::string::npos) << svg;
}

TEST(Chart, NamesAreText) {
  EXPECT_EQ(escaped("a<b & \"c\" 'd'>"), "a&lt;b &amp; &quot;c&quot; &#39;d&#39;&gt;");
  const Chart chart{.title = "a < b", .x_label = "x", .y_label = "y"};
  EXPECT_NE(svg_chart(chart).find("a &lt; b"), std::string::npos);
}

}  // namespace
}  // namespace calor::report
