// Times by log(A/S).
#include "calor/path/log_snr.h"

#include <gtest/gtest.h>

#include <cmath>

#include "calor/path/stage_path.h"

namespace calor::path {
namespace {

double logit(double t) { return std::log(t) - std::log1p(-t); }

// On the straight path log(A/S) is the logit of the time.
TEST(LogSnr, CutsOfTheStraightPath) {
  const auto path = make_path({.kind = PathKind::linear}, 1, 1);
  EXPECT_EQ(log_snr_cuts(*path, 1), (std::vector<double>{0, 1}));
  const auto cuts = log_snr_cuts(*path, 6);
  ASSERT_EQ(cuts.size(), 7U);
  const double low = logit(0.02), high = logit(0.97);
  for (int i = 1; i < 6; ++i) {
    EXPECT_NEAR(logit(cuts[static_cast<std::size_t>(i)]), low + (high - low) * i / 6, 1e-9);
  }
  EXPECT_EQ(cuts.front(), 0);
  EXPECT_EQ(cuts.back(), 1);
}

TEST(LogSnr, CutsIntoFewAreAmongThoseIntoMany) {
  const auto path = make_path({.kind = PathKind::trigonometric}, 1, 1);
  const auto few = log_snr_cuts(*path, 3);
  const auto many = log_snr_cuts(*path, 12);
  for (std::size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i], many[4 * i]);
}

// A stage that begins and ends with noise has a range of its own: e^-T / sqrt(1 - e^-2T) at both
// ends.
TEST(LogSnr, CutsOfAStageLieInItsOwnRange) {
  const StageStep step{.free = false, .gamma = 0.3, .start = 0.1};
  const auto path = global_stage_path(InnerPath::linear, step);
  const auto at_time = [](double time) { return -time - std::log(-std::expm1(-2 * time)) / 2; };
  const auto cuts = log_snr_cuts(*path, 4);
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_GT(cuts[i], cuts[i - 1]);
    const double share = static_cast<double>(i) / 4;
    EXPECT_NEAR(log_snr_at(*path, cuts[i]), at_time(0.4) + (at_time(0.1) - at_time(0.4)) * share,
                1e-9);
  }
}

}  // namespace
}  // namespace calor::path
