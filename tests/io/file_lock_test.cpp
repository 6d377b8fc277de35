#include "calor/io/file_lock.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "calor/core/error.h"
#include "tests/support/folder.h"

namespace {

// The error numbers of the next calls of flock(), the first one last; then the system answers.
std::vector<int> answers;

}  // namespace

// In the place of the C library's.
extern "C" int flock(int descriptor, int operation) noexcept {
  if (answers.empty()) return static_cast<int>(::syscall(SYS_flock, descriptor, operation));
  errno = answers.back();
  answers.pop_back();
  return -1;
}

namespace calor::io {
namespace {

// Two locks of one process are as those of two processes: each opens the file by itself.
TEST(FileLock, IsHeldByOneOrSharedByMany) {
  const test::Folder folder;
  const auto file = folder.path() / "lock";
  auto first = FileLock::try_lock(file, FileLock::Kind::exclusive);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(FileLock::try_lock(file, FileLock::Kind::exclusive).has_value());
  EXPECT_FALSE(FileLock::try_lock(file, FileLock::Kind::shared).has_value());
  {
    const FileLock moved = std::move(*first);
    EXPECT_FALSE(FileLock::try_lock(file, FileLock::Kind::shared).has_value());
  }
  const auto one = FileLock::try_lock(file, FileLock::Kind::shared);
  const auto two = FileLock::try_lock(file, FileLock::Kind::shared);
  EXPECT_TRUE(one.has_value() && two.has_value());
  EXPECT_FALSE(FileLock::try_lock(file, FileLock::Kind::exclusive).has_value());
  EXPECT_THROW(FileLock::try_lock(folder.path() / "none" / "lock", FileLock::Kind::shared), Error);
}

// Who waits for another process must not wait for a file system that has no locks.
TEST(FileLock, OnlyWhatIsHeldIsSaidToBe) {
  const test::Folder folder;
  const auto file = folder.path() / "lock";
  const auto lock = [&] { return FileLock::try_lock(file, FileLock::Kind::exclusive); };
  for (const int number : {ENOLCK, EOPNOTSUPP, EINVAL}) {
    answers = {number};
    try {
      lock();
      ADD_FAILURE() << "no error of " << number;
    } catch (const Error& error) {
      EXPECT_NE(error.found().find(system_error_text(number)), std::string::npos) << error.found();
      EXPECT_NE(error.found().find(file.string()), std::string::npos) << error.found();
    }
  }
  answers = {EWOULDBLOCK};
  EXPECT_FALSE(lock().has_value());
  answers = {EINTR, EINTR};
  EXPECT_TRUE(lock().has_value());
  EXPECT_TRUE(answers.empty());
}

}  // namespace
}  // namespace calor::io
