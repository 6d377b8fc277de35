// A lock on a file between processes.
#pragma once

#include <filesystem>
#include <optional>

namespace calor::io {

// Held while this lives; the system frees it when the process ends, however it ends. The file
// itself, empty, is left.
class FileLock {
 public:
  enum class Kind { exclusive, shared };

  // Nothing where another process holds what this needs. Error where the file cannot be made, or
  // cannot be locked at all, as on some file systems.
  static std::optional<FileLock> try_lock(const std::filesystem::path& file, Kind kind);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace calor::io
