#include "calor/core/workers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <stdexcept>
#include <string>

#include "calor/core/error.h"

namespace calor {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

// While it lives a new thread takes a GiB of address space, and there is room for three, with what
// AddressSanitizer adds to each.
class RoomForThreeThreads {
 public:
  RoomForThreeThreads() {
    getrlimit(RLIMIT_AS, &limit_);
    pthread_getattr_default_np(&attributes_);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlimit narrow{pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + 3968 * mebibyte,
                        limit_.rlim_max};
    pthread_attr_t wide = attributes_;
    pthread_attr_setstacksize(&wide, 1024 * mebibyte);
    holds_ = pthread_setattr_default_np(&wide) == 0 && setrlimit(RLIMIT_AS, &narrow) == 0;
  }
  ~RoomForThreeThreads() {
    setrlimit(RLIMIT_AS, &limit_);
    pthread_setattr_default_np(&attributes_);
    pthread_attr_destroy(&attributes_);
  }
  RoomForThreeThreads(const RoomForThreeThreads&) = delete;
  RoomForThreeThreads& operator=(const RoomForThreeThreads&) = delete;
  bool holds() const { return holds_; }

 private:
  rlimit limit_{};
  pthread_attr_t attributes_{};
  bool holds_ = false;
};

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

// Those that could be started are ended, and the error says what to do; the process goes on.
TEST(Workers, SayThatThreadsCannotBeStarted) {
  std::string found, hint;
  {
    const RoomForThreeThreads room;
    ASSERT_TRUE(room.holds());
    try {
      const Workers workers(8);
    } catch (const Error& error) {
      found = error.found();
      hint = error.hint();
    }
  }
  EXPECT_NE(found.find(" could be started: "), std::string::npos) << found;
  EXPECT_NE(hint.find("fewer --threads"), std::string::npos) << hint;
  Workers workers(8);
  EXPECT_NO_THROW(workers.run(8, [](std::int64_t) {}));
}

}  // namespace
}  // namespace calor
