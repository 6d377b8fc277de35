#include "calor/io/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "calor/core/error.h"

namespace calor::io {

std::optional<FileLock> FileLock::try_lock(const std::filesystem::path& file, Kind kind) {
  const int descriptor = open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    throw Error("a folder that can be written",
                fmt::format("{}: {}", file.string(), system_error_text(errno)),
                "choose another folder, or repair its permissions");
  }
  FileLock lock(descriptor);
  const int wanted = (kind == Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  while (flock(descriptor, wanted) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return {};
    throw Error("a file system whose files can be locked",
                fmt::format("{}: {}", file.string(), system_error_text(errno)),
                "choose a folder on another disk; network and container file systems may have no "
                "locks");
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace calor::io
