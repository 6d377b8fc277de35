#include "calor/core/error.h"

#include <gtest/gtest.h>

#include <vector>

namespace calor {
namespace {

TEST(Error, HasThreePartsAndAnExitStatus) {
  const Error failure("a file", "nothing", "make one");
  EXPECT_STREQ(failure.what(), "expected: a file\nfound:    nothing\nto do:    make one");
  EXPECT_EQ(failure.exit_status(), 1);
  EXPECT_EQ(usage_error("a", "b", "c").exit_status(), 2);
}

TEST(Error, EditDistance) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("lr", "rl"), 1U);  // a swap
}

TEST(Error, NearestName) {
  const std::vector<std::string> names{"train.steps", "train.batch", "path.a"};
  EXPECT_EQ(nearest_name("train.step", names), "train.steps");
  EXPECT_EQ(nearest_name("something.else", names), "");
}

}  // namespace
}  // namespace calor
