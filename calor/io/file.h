// An open file that closes itself, over the plain system calls: interrupted calls are repeated,
// short reads and writes are completed, and every failure names the file and the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

namespace calor::io {

class File {
 public:
  // Error where it is missing, unreadable, or anything but a regular file.
  static File open_to_read(const std::filesystem::path& path);

  // open(2) with `flags`; a descriptor of -1 where it fails, with errno set.
  File(const std::filesystem::path& path, int flags, unsigned int mode = 0);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }
  // The name that errors give from now on: the target's, where this is its temporary file.
  void rename_in_errors(const std::filesystem::path& name) { path_ = name; }

  // The size now.
  std::uint64_t size() const;

  // Fills `bytes` from `offset`; Error where the file ends before.
  void read_exactly(std::uint64_t offset, std::span<std::byte> bytes) const;
  void write_all(std::span<const std::byte> bytes) const;
  void flush_to_disk() const;
  // Closing can report a failed write (network file systems).
  void close();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// Calls the disk hook of atomic_file.h, if there is one.
void before_disk_change(const char* call);

// Throws the Error of a failed system call: expected "to <what> <path>", found "<path>: <reason>".
[[noreturn]] void throw_system_error(std::string_view what, const std::filesystem::path& path,
                                     int error_number);

}  // namespace calor::io
