// NumPy's legacy generator: numbers that NumPy 1.23 and 2 print for the same seeds.
#include "calor/policy/numpy_random.h"

#include <gtest/gtest.h>

#include <vector>

namespace calor::policy {
namespace {

TEST(NumpyRandom, IntegersOfThirtyTwoBits) {
  // RandomState(12345).randint(0, 2**32, 5)
  NumpyRandom random(12345);
  for (const std::int64_t expected :
       {3992670690L, 3823185381L, 1358822685L, 561383553L, 789925284L}) {
    EXPECT_EQ(random.integer(0, std::int64_t{1} << 32), expected);
  }
}

// One sequence, so that every call has to take as many words as NumPy's.
TEST(NumpyRandom, ASequenceOfAllKinds) {
  NumpyRandom random(1);
  for (const double expected : {0.417022004702574, 0.7203244934421581, 0.00011437481734488664}) {
    EXPECT_EQ(random.uniform(), expected);
  }
  for (const double expected :
       {-0.8021728386486427, -0.4488778077207725, -1.1059350760083153, -1.6545154524065693}) {
    EXPECT_NEAR(random.normal(), expected, 1e-15);
  }
  for (const std::int64_t expected : {2, 4, 5, 2, 4, 2, 4, 7}) {
    EXPECT_EQ(random.integer(0, 10), expected);
  }
  for (const std::int64_t expected : {90066, 19428, 17132, 26098}) {
    EXPECT_EQ(random.integer(-5, 100000), expected);
  }
  EXPECT_NEAR(random.normal(), 0.8858294019971026, 1e-15);
}

TEST(NumpyRandom, NarrowAndWideRanges) {
  NumpyRandom random(4294967295);
  EXPECT_EQ(random.integer(7, 8), 7);  // draws nothing
  const std::int64_t wide = std::int64_t{1} << 40;
  for (const std::int64_t expected : {700559016226L, -1045555270585L, 775354646080L}) {
    EXPECT_EQ(random.integer(-wide, wide), expected);
  }
  EXPECT_EQ(random.uniform(), 0.7800035981134678);
}

}  // namespace
}  // namespace calor::policy
