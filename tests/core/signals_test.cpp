#include "calor/core/signals.h"

#include <gtest/gtest.h>

#include <csignal>

namespace calor {
namespace {

// The handler of a signal while a guard lives, where `before` was the one before. No signal is
// raised: that one was seen is never forgotten.
auto handler_within(int number, void (*before)(int)) {
  struct sigaction was {};
  struct sigaction within {};
  struct sigaction after {};
  struct sigaction action {};
  action.sa_handler = before;
  sigaction(number, &action, &was);
  {
    const InterruptGuard guard;
    sigaction(number, nullptr, &within);
  }
  sigaction(number, &was, &after);
  EXPECT_EQ(after.sa_handler, before);
  return within.sa_handler;
}

TEST(InterruptGuard, ListensAndPutsBackWhatWasThere) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    const auto handler = handler_within(number, SIG_DFL);
    EXPECT_TRUE(handler != SIG_DFL && handler != SIG_IGN) << number;
  }
}

// nohup ignores SIGHUP, which is a wish; a shell ignores SIGINT for what a script runs in the
// background, and `kill -INT` is to stop that all the same.
TEST(InterruptGuard, LeavesAnIgnoredHangUpIgnored) {
  EXPECT_EQ(handler_within(SIGHUP, SIG_IGN), SIG_IGN);
  EXPECT_NE(handler_within(SIGINT, SIG_IGN), SIG_IGN);
}

}  // namespace
}  // namespace calor
