#include "calor/report/ticks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::report {
namespace {

TEST(Ticks, AreRoundAndInside) {
  const auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12);
  };
  near(round_ticks(0, 1, 5), {0, 0.2, 0.4, 0.6, 0.8, 1});
  near(round_ticks(-3, 7, 5), {-2, 0, 2, 4, 6});
  near(round_ticks(0.11, 0.14, 3), {0.11, 0.12, 0.13, 0.14});
  near(round_ticks(-1e6, 1e6, 4), {-1e6, -5e5, 0, 5e5, 1e6});
  EXPECT_FALSE(std::signbit(round_ticks(-1, 1, 2)[1]));
  EXPECT_THROW(round_ticks(1, 1, 5), Error);
  EXPECT_THROW(round_ticks(0, INFINITY, 5), Error);
}

// Two horizontal lines: the higher one above; a rising line crosses the columns from below; and a
// logarithm makes 1, 10, 100 equally far apart.
TEST(Ticks, PowersOfTen) {
  EXPECT_EQ(logarithmic_ticks(1, 10), (std::vector<double>{1, 2, 5, 10}));
  const auto many = logarithmic_ticks(1e-4, 1e4);
  ASSERT_EQ(many.size(), 9U);  // powers of ten alone
  EXPECT_DOUBLE_EQ(many.front(), 1e-4);
  const auto wide = logarithmic_ticks(1e-30, 1e7);
  ASSERT_EQ(wide.size(), 9U);  // 1e-28, 1e-24, ..., 1e4
  EXPECT_DOUBLE_EQ(wide.front(), 1e-28);
  EXPECT_DOUBLE_EQ(wide.back(), 1e4);
}

}  // namespace
}  // namespace calor::report
