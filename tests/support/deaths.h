// Children of a test that may die, and that die just before any change to the disk.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "calor/io/atomic_file.h"

namespace calor::test {

// Runs `action` in a forked child: its exit status, 99 where it threw, 128 + n where signal n
// ended it.
inline int in_child(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
    } catch (...) {
      ::_exit(99);
    }
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Runs `write` in a child that dies just before its k-th change to the disk, for every k until it
// lives; calls `check` after each death. Returns how many deaths there were.
inline int die_at_every_change(const std::function<void()>& write,
                               const std::function<void()>& check) {
  constexpr int died = 77;
  for (int k = 1;; ++k) {
    const int status = in_child([&] {
      int calls = 0;
      io::set_disk_hook([&](const char*) {
        if (++calls == k) ::_exit(died);
      });
      write();
    });
    check();
    if (status != died) {
      EXPECT_EQ(status, 0);
      return k - 1;
    }
  }
}

}  // namespace calor::test
