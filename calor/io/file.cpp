#include "calor/io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "calor/core/error.h"

namespace calor::io {
namespace {

// Linux transfers at most 0x7ffff000 bytes a call; pieces below that keep the arithmetic plain.
constexpr std::size_t largest_transfer = std::size_t{1} << 30;

struct Reason {
  int error_number;
  const char* hint;
};

constexpr Reason reasons[] = {
    {ENOSPC, "free some space on that disk, or choose another folder"},
    {EDQUOT, "free some space within your quota, or choose another folder"},
    {EFBIG, "raise the limit on file sizes (ulimit -f), or choose another file system"},
    {EACCES, "check the permissions of the file and its folder"},
    {EPERM, "check the permissions of the file and its folder"},
    {EROFS, "the file system is read-only: choose another folder"},
    {ENOENT, "check the spelling of the path"},
    {ENOTDIR, "a part of the path is a file where a folder is needed"},
    {EISDIR, "give the name of a file, not of a folder"},
    {EEXIST, "choose another name, or remove what is there"},
    {ENOTEMPTY, "choose another name, or remove what is there"},
    {ENAMETOOLONG, "choose a shorter name"},
    {EMFILE, "raise the limit on open files (ulimit -n)"},
    {EIO, "the disk reports a fault: copy what matters to another one"},
};

const char* hint_for(int error_number) {
  const auto* found = std::find_if(std::begin(reasons), std::end(reasons),
                                   [&](const Reason& r) { return r.error_number == error_number; });
  return found == std::end(reasons) ? "check that path" : found->hint;
}

}  // namespace

void throw_system_error(std::string_view what, const std::filesystem::path& path,
                        int error_number) {
  throw Error(fmt::format("to {} {}", what, path.string()),
              fmt::format("{}: {}", path.string(), system_error_text(error_number)),
              hint_for(error_number));
}

File::File(const std::filesystem::path& path, int flags, unsigned int mode) : path_(path) {
  do {
    descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (descriptor_ < 0 && errno == EINTR);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

File::~File() {
  if (is_open()) ::close(descriptor_);
}

File File::open_to_read(const std::filesystem::path& path) {
  // Non-blocking, so that a named pipe is refused below instead of being waited for.
  File file(path, O_RDONLY | O_NONBLOCK);
  if (!file.is_open()) throw_system_error("read", path, errno);
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) throw_system_error("read", path, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error("a regular file",
                fmt::format("{}: {}", path.string(),
                            S_ISDIR(status.st_mode) ? "a folder" : "not a regular file"),
                "give the name of a file");
  }
  return file;
}

std::uint64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_system_error("read", path_, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void File::read_exactly(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(descriptor_, bytes.data(), std::min(bytes.size(), largest_transfer),
                                static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_system_error("read", path_, errno);
    if (got == 0) {
      throw Error(fmt::format("{} more bytes at offset {}", bytes.size(), offset),
                  fmt::format("{}: the file ends there", path_.string()),
                  "copy the file again; it was cut short, or changed while it was read");
    }
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void File::write_all(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    before_disk_change("write");
    const ssize_t put =
        ::write(descriptor_, bytes.data(), std::min(bytes.size(), largest_transfer));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) throw_system_error("write", path_, put < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void File::flush_to_disk() const {
  before_disk_change("fsync");
  while (::fsync(descriptor_) != 0) {
    if (errno == EINTR) continue;
    // Some file systems and devices have nothing to flush; that is no failure.
    if (errno == EINVAL || errno == ENOTSUP) return;
    throw_system_error("flush", path_, errno);
  }
}

void File::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  // Linux has closed the descriptor even where close() says EINTR.
  if (descriptor >= 0 && ::close(descriptor) != 0 && errno != EINTR) {
    throw_system_error("close", path_, errno);
  }
}

}  // namespace calor::io
