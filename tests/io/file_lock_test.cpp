#include "calor/io/file_lock.h"

#include <gtest/gtest.h>

#include <utility>

#include "calor/core/error.h"
#include "tests/support/folder.h"

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

}  // namespace
}  // namespace calor::io
