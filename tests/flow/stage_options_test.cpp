#include "calor/flow/stage_options.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::flow {
namespace {

TEST(StageOptions, AListOfGammasEndsWithAFreeStage) {
  StageOptions options;
  options.gammas = {0.1, 0.2, 0.4};
  const auto steps = stage_steps(options);
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_DOUBLE_EQ(steps[2].start, 0.1 + 0.2);
  EXPECT_FALSE(steps[2].free);
  EXPECT_TRUE(steps[3].free);
  EXPECT_DOUBLE_EQ(steps[3].start, 0.1 + 0.2 + 0.4);
  EXPECT_DOUBLE_EQ(steps[3].alpha(at::zeros({1})).item<double>(), 0);
}

TEST(StageOptions, GeometricSteps) {
  StageOptions options;
  options.steps = 3;
  options.gamma = 0.1;
  options.ratio = 2;
  const auto steps = stage_steps(options);
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_NEAR(steps[2].gamma, 0.4, 1e-15);
  EXPECT_NEAR(steps[3].start, 0.7, 1e-15);
}

TEST(StageOptions, RefusesWhatIsNoChain) {
  StageOptions shrinking;
  shrinking.gammas = {0.2, 0.1};
  EXPECT_THROW(stage_steps(shrinking), Error);
  shrinking.maps = true;  // groups of a teacher's stages
  EXPECT_EQ(stage_steps(shrinking).size(), 3U);
  StageOptions empty_step;
  empty_step.gammas = {0, 0.1};
  EXPECT_THROW(stage_steps(empty_step), Error);
  StageOptions widths;
  widths.gammas = {0.1};
  widths.widths = {64};
  EXPECT_THROW(stage_steps(widths), Error);
}

TEST(StageOptions, ListsAreReadFromFilesAndTheCommandLine) {
  StageOptions options;
  config::Options declared;
  options.declare(declared);
  declared.load_toml("[stages]\ngammas = [0.1, 0.25]\nwidths = [64, 32, 16]", "file");
  EXPECT_EQ(options.gammas, (std::vector<double>{0.1, 0.25}));
  declared.assign("stages.gammas=.5, 1", "command line");
  EXPECT_EQ(options.gammas, (std::vector<double>{0.5, 1}));
  StageOptions again;
  config::Options other;
  again.declare(other);
  other.load_toml(declared.to_toml(), "saved");
  EXPECT_EQ(again.gammas, options.gammas);
  EXPECT_EQ(again.widths, options.widths);
  EXPECT_THROW(declared.assign("stages.gammas=[0.1, -1]", "command line"), Error);
  EXPECT_THROW(declared.assign("stages.gammas=few", "command line"), Error);
}

}  // namespace
}  // namespace calor::flow
