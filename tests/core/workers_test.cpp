#include "calor/core/workers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>

namespace calor {
namespace {

TEST(Workers, DoEverythingOnceAndOnOneThreadEach) {
  const int before = at::get_num_threads();
  Workers workers(3);
  EXPECT_EQ(at::get_num_threads(), before);
  for (const std::int64_t count : {0, 1, 2, 100}) {
    std::vector<int> calls(static_cast<std::size_t>(count));
    std::atomic<int> wide{0};
    workers.run(count, [&](std::int64_t i) {
      ++calls[static_cast<std::size_t>(i)];
      wide += at::get_num_threads() != 1;
    });
    for (const int n : calls) EXPECT_EQ(n, 1);
    EXPECT_EQ(wide, 0);
  }
}

TEST(Workers, ThrowTheFirstErrorWhenAllHaveEnded) {
  Workers workers(2);
  std::atomic<int> ended{0};
  const auto work = [&](std::int64_t i) {
    ++ended;
    if (i >= 5) throw std::runtime_error(std::to_string(i));
  };
  try {
    workers.run(20, work);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "5");
  }
  EXPECT_EQ(ended, 20);
  EXPECT_NO_THROW(workers.run(5, work));
}

}  // namespace
}  // namespace calor
