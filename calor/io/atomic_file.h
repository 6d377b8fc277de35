// Files that are whole or absent: written beside their place, flushed to disk, renamed, and the
// folder flushed. After a crash at any moment the old file or the new one is there, never half.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace calor::io {

// Reads a whole file. Error where it is missing, unreadable, not a regular file, or larger than
// `max_bytes`.
std::vector<std::byte> read_file(const std::filesystem::path& path,
                                 std::uint64_t max_bytes = std::uint64_t{1} << 40);
std::string read_text(const std::filesystem::path& path, std::uint64_t max_bytes = 64 << 20);

// Creates or replaces `path` atomically, keeping the permissions of a file that it replaces and
// following a symbolic link. Error (naming the file and the reason, for instance a full disk)
// leaves the old file untouched and no temporary file behind.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> contents);

// The same for contents produced in pieces: `produce` receives a sink and calls it as often as it
// likes; nothing needs to be held in memory twice.
using ByteSink = std::function<void(std::span<const std::byte>)>;
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const ByteSink&)>& produce);

// Appends one line (a newline is added) with a single write; creates the file where missing. Where
// a crash has left the last line without its end, the new one still begins on a line of its own.
void append_line(const std::filesystem::path& path, std::string_view line);

// Removes the temporary files that writes cut short by a crash have left in a folder (they are
// harmless, but take space). Only while nothing else writes there. Returns how many there were.
std::size_t remove_leftovers(const std::filesystem::path& folder);

// Renames a folder to its final name and flushes the parent folder. Replaces nothing.
void commit_folder(const std::filesystem::path& temporary, const std::filesystem::path& final_name);

// Flushes a folder's entries to disk.
void sync_folder(const std::filesystem::path& folder);

// Creates a folder and its parents. Error names the folder and the reason.
void make_folder(const std::filesystem::path& folder);

// XXH3-128 of bytes or of a file, as 32 hexadecimal digits: finds flipped bytes, not forgers.
std::string checksum(std::span<const std::byte> bytes);
std::string checksum_of_file(const std::filesystem::path& path);
// The same of bytes that come in pieces.
class RunningChecksum {
 public:
  RunningChecksum();
  ~RunningChecksum();
  RunningChecksum(const RunningChecksum&) = delete;
  RunningChecksum& operator=(const RunningChecksum&) = delete;
  void add(std::span<const std::byte> bytes);
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// For tests of crash safety: called before each system call that changes the disk, with its name
// (open, write, fsync, rename, unlink, mkdir). Set it while no other thread writes; {} removes it.
using DiskHook = std::function<void(const char* call)>;
void set_disk_hook(DiskHook hook);

}  // namespace calor::io
