#include "calor/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"

namespace calor::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view temporary_mark = ".tmp-";

DiskHook& disk_hook() {
  static DiskHook hook;
  return hook;
}

// Where the bytes really go: a symbolic link stays, and what it points to is replaced. Devices and
// pipes are refused, because rename() would put a file in their place.
fs::path target_of(const fs::path& path) {
  if (path.filename().empty() || path.filename() == "." || path.filename() == "..") {
    throw Error("the name of a file to write", fmt::format("\"{}\"", path.string()),
                "give a name that does not end in a slash");
  }
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error("a regular file to replace, or none",
                fmt::format("{}: {}", path.string(),
                            fs::is_directory(status) ? "a folder" : "not a regular file"),
                "choose another name");
  }
  if (!fs::is_symlink(fs::symlink_status(path, ignored))) return path;
  const fs::path resolved = fs::weakly_canonical(path, ignored);
  return ignored ? path : resolved;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path without_last_slash(const fs::path& path) {
  return path.filename().empty() ? path.parent_path() : path;
}

// ".model.safetensors.tmp-1234-0" and its like.
bool is_temporary_name(const std::string& name) {
  const std::size_t mark = name.rfind(temporary_mark);
  return name.starts_with('.') && mark != std::string::npos &&
         name.find_first_not_of("0123456789-", mark + temporary_mark.size()) == std::string::npos;
}

// The file beside its target that is to take its name. Removes itself unless committed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target) : target_(target), file_(create(target, path_)) {
    file_.rename_in_errors(target);
    struct stat old {};
    if (::stat(target.c_str(), &old) == 0) ::fchmod(file_.descriptor(), old.st_mode & 07777);
  }

  ~TemporaryFile() {
    if (committed_) return;
    before_disk_change("unlink");
    ::unlink(path_.c_str());
  }

  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  TemporaryFile(TemporaryFile&&) = delete;
  TemporaryFile& operator=(TemporaryFile&&) = delete;

  void write(std::span<const std::byte> bytes) const { file_.write_all(bytes); }

  void commit() {
    file_.flush_to_disk();
    file_.close();
    before_disk_change("rename");
    if (::rename(path_.c_str(), target_.c_str()) != 0) throw_system_error("write", target_, errno);
    committed_ = true;
    sync_folder(folder_of(target_));
  }

 private:
  // The number keeps threads apart; a name left over from a crashed process with our id is skipped.
  static File create(const fs::path& target, fs::path& path) {
    static std::atomic<std::uint64_t> next{0};
    // File systems allow names of 255 bytes; the mark and the numbers need up to 50.
    const std::string name = target.filename().string().substr(0, 200);
    for (;;) {
      path = folder_of(target) /
             fmt::format(".{}{}{}-{}", name, temporary_mark, ::getpid(), next.fetch_add(1));
      before_disk_change("open");
      File file(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
      if (file.is_open()) return file;
      if (errno != EEXIST) throw_system_error("write", target, errno);
    }
  }

  fs::path target_;
  fs::path path_;
  File file_;
  bool committed_ = false;
};

void make_one_folder(const fs::path& folder) {
  before_disk_change("mkdir");
  if (::mkdir(folder.c_str(), 0777) == 0) {
    sync_folder(folder_of(folder));
    return;
  }
  const int reason = errno;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) throw_system_error("create the folder", folder, reason);
}

// True where the file's last line lacks its newline, as after a crash in the middle of a write.
bool ends_within_a_line(int descriptor, const struct stat& status) {
  char last = '\n';
  return S_ISREG(status.st_mode) && status.st_size > 0 &&
         ::pread(descriptor, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

}  // namespace

void before_disk_change(const char* call) {
  if (disk_hook()) disk_hook()(call);
}

void set_disk_hook(DiskHook hook) { disk_hook() = std::move(hook); }

std::vector<std::byte> read_file(const fs::path& path, std::uint64_t max_bytes) {
  const File file = File::open_to_read(path);
  const std::uint64_t size = file.size();
  if (size > max_bytes) {
    throw Error(fmt::format("a file of at most {} bytes", max_bytes),
                fmt::format("{}: {} bytes", path.string(), size),
                "check that it is the right file");
  }
  std::vector<std::byte> bytes;
  try {
    bytes.resize(size);
  } catch (const std::exception&) {  // bad_alloc or length_error
    throw Error(fmt::format("{} bytes of memory", size), path.string() + ": not enough memory",
                "free some memory, or use a smaller file");
  }
  file.read_exactly(0, bytes);
  return bytes;
}

std::string read_text(const fs::path& path, std::uint64_t max_bytes) {
  return std::string(as_text(read_file(path, max_bytes)));
}

void write_file_atomically(const fs::path& path,
                           const std::function<void(const ByteSink&)>& produce) {
  TemporaryFile temporary(target_of(path));
  produce([&](std::span<const std::byte> bytes) { temporary.write(bytes); });
  temporary.commit();
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> contents) {
  write_file_atomically(path, [&](const ByteSink& sink) { sink(contents); });
}

void write_file_atomically(const fs::path& path, std::string_view contents) {
  write_file_atomically(path, as_bytes(contents));
}

void append_line(const fs::path& path, std::string_view line) {
  before_disk_change("open");
  File file(path, O_RDWR | O_APPEND | O_CREAT, 0666);
  struct stat before {};
  if (!file.is_open() || ::fstat(file.descriptor(), &before) != 0) {
    throw_system_error("write", path, errno);
  }
  std::string text = ends_within_a_line(file.descriptor(), before) ? "\n" : "";
  text.append(line).push_back('\n');
  file.write_all(as_bytes(text));
  file.close();
}

std::size_t remove_leftovers(const fs::path& folder) {
  std::size_t removed = 0;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    std::error_code ignored;
    if (!is_temporary_name(entry->path().filename().string())) continue;
    if (!entry->is_regular_file(ignored)) continue;
    before_disk_change("unlink");
    if (::unlink(entry->path().c_str()) == 0) ++removed;
  }
  if (failure) throw_system_error("read the folder", folder, failure.value());
  return removed;
}

void commit_folder(const fs::path& temporary, const fs::path& final_name) {
  sync_folder(temporary);
  before_disk_change("rename");
  int result =
      ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, final_name.c_str(), RENAME_NOREPLACE);
  if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
    // A file system without RENAME_NOREPLACE (some network ones): look, then rename.
    std::error_code ignored;
    const bool taken = fs::exists(fs::symlink_status(final_name, ignored));
    result = taken ? -1 : ::rename(temporary.c_str(), final_name.c_str());
    if (taken) errno = EEXIST;
  }
  if (result != 0) {
    const int reason = errno;
    throw_system_error(fmt::format("rename {} to", temporary.string()), final_name, reason);
  }
  sync_folder(folder_of(without_last_slash(final_name)));
}

void sync_folder(const fs::path& folder) {
  const File file(folder.empty() ? fs::path(".") : folder, O_RDONLY | O_DIRECTORY);
  if (!file.is_open()) throw_system_error("flush the folder", folder, errno);
  file.flush_to_disk();
}

void make_folder(const fs::path& folder) {
  const fs::path path = without_last_slash(folder);
  std::error_code ignored;
  if (path.empty() || fs::is_directory(path, ignored)) return;
  if (path.has_parent_path() && path.parent_path() != path) make_folder(path.parent_path());
  make_one_folder(path);
}

}  // namespace calor::io
