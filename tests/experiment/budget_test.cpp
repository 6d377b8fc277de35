#include "calor/experiment/budget.h"

#include <gtest/gtest.h>

#include <vector>

#include "calor/core/error.h"

namespace calor::experiment {
namespace {

TEST(Budget, TwoTrialsTellTheStartFromTheSteps) {
  // 4 seconds to start, a quarter of a second a step.
  const Cost cost = cost_of({.steps = 10, .seconds = 6.5}, {.steps = 50, .seconds = 16.5});
  EXPECT_DOUBLE_EQ(cost.start, 4);
  EXPECT_DOUBLE_EQ(cost.step, 0.25);
  // A longer trial that took less time may have been steps alone; one that took much more shows no
  // start.
  const Cost scattered = cost_of({.steps = 10, .seconds = 2}, {.steps = 40, .seconds = 1.6});
  EXPECT_DOUBLE_EQ(scattered.step, 0.04);
  EXPECT_DOUBLE_EQ(scattered.start, 1.6);
  EXPECT_DOUBLE_EQ(cost_of({.steps = 10, .seconds = 1}, {.steps = 20, .seconds = 9}).start, 0);
}

TEST(Budget, TheScaledTrainingsTakeTheBudget) {
  const std::vector<Training> trainings{{.cost = {.start = 4, .step = 0.25}, .steps = 1000},
                                        {.cost = {.start = 1, .step = 0.01}, .steps = 5000}};
  EXPECT_DOUBLE_EQ(seconds_of(trainings, 1), 305);
  for (const std::int64_t at_once : {1, 2}) {
    for (const double seconds : {20.0, 100.0, 1000.0}) {
      const double scale = scale_for_budget(trainings, seconds, at_once);
      EXPECT_NEAR(seconds_of(trainings, scale), seconds * static_cast<double>(at_once), 1e-9);
    }
  }
  // Two trainings cannot be more than two at a time.
  EXPECT_DOUBLE_EQ(scale_for_budget(trainings, 100, 8), scale_for_budget(trainings, 100, 2));
  // 65 seconds: a fifth of 300 after 5 for the starts. What counted starts as steps gave .213.
  EXPECT_DOUBLE_EQ(scale_for_budget(trainings, 65, 1), 0.2);
}

TEST(Budget, StartsThatUseItUpAreAnError) {
  const std::vector<Training> trainings(12, {.cost = {.start = 10, .step = 0.1}, .steps = 100});
  try {
    scale_for_budget(trainings, 90, 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("--budget 2.1 or more"), std::string::npos) << text;
    EXPECT_NE(text.find("--budget 1.5"), std::string::npos) << text;
  }
  EXPECT_DOUBLE_EQ(scale_for_budget({}, 90, 1), 1);
}

}  // namespace
}  // namespace calor::experiment
