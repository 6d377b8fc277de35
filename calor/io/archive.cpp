#include "calor/io/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <limits>
#include <memory>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/ending.h"
#include "calor/io/file.h"
#include "calor/io/gzip.h"

namespace calor::io {
namespace {

constexpr std::size_t block_bytes = std::size_t{1} << 16;

struct FreeArchive {
  void operator()(struct archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<struct archive, FreeArchive>;

// libarchive does not verify gzip's checksum, so gzip is unpacked here and libarchive is fed.
struct GzipFeed {
  explicit GzipFeed(const File& file) : reader(file) {}

  GzipReader reader;
  std::array<std::byte, block_bytes> block{};
  std::exception_ptr failure;  // exceptions must not cross libarchive, which is C
};

la_ssize_t feed(struct archive*, void* data, const void** block) {
  auto& gzip = *static_cast<GzipFeed*>(data);
  try {
    *block = gzip.block.data();
    return static_cast<la_ssize_t>(gzip.reader.read(gzip.block));
  } catch (...) {
    gzip.failure = std::current_exception();
    return -1;
  }
}

bool is_gzip(const File& file) {
  std::array<std::byte, 2> start{};
  if (file.size() < start.size()) return false;
  file.read_exactly(0, start);
  return start[0] == std::byte{0x1f} && start[1] == std::byte{0x8b};
}

class Reader {
 public:
  Reader(const std::filesystem::path& path, std::uint64_t max_member_bytes)
      : name_(path.string()), max_(max_member_bytes), file_(File::open_to_read(path)) {
    archive_.reset(archive_read_new());
    if (!archive_) throw std::bad_alloc();
    archive_read_support_format_tar(archive_.get());
    if (is_gzip(file_)) {
      gzip_ = std::make_unique<GzipFeed>(file_);
      check(archive_read_open(archive_.get(), gzip_.get(), nullptr, feed, nullptr));
      return;
    }
    // Only through its directory, at the end of the file: a zip that is cut short has none.
    archive_read_support_format_zip_seekable(archive_.get());
    archive_read_support_filter_xz(archive_.get());
    archive_read_support_filter_zstd(archive_.get());
    check(archive_read_open_fd(archive_.get(), file_.descriptor(), block_bytes));
  }

  // The next regular file; null at the end.
  struct archive_entry* next() {
    for (;;) {
      struct archive_entry* entry = nullptr;
      const int status = archive_read_next_header(archive_.get(), &entry);
      if (status == ARCHIVE_EOF) {
        finish();
        return nullptr;
      }
      if (status != ARCHIVE_WARN || !only_the_locale()) check(status);
      refuse_links(entry);
      if (archive_entry_filetype(entry) == AE_IFREG) return entry;
    }
  }

  std::string name_of(struct archive_entry* entry) const {
    const char* text = archive_entry_pathname_utf8(entry);
    if (text == nullptr) text = archive_entry_pathname(entry);
    if (text == nullptr) refuse("members with names", "a member without one");
    return text;
  }

  // Sizes that an archive declares are hints: memory grows with the bytes that really come.
  void read(struct archive_entry* entry, std::vector<std::byte>& bytes) {
    bytes.clear();
    while (append_block(entry, bytes)) {
    }
    if (archive_entry_size_is_set(entry) != 0 &&
        static_cast<std::uint64_t>(archive_entry_size(entry)) != bytes.size()) {
      refuse(fmt::format("{} bytes of {}", archive_entry_size(entry), printable(name_of(entry))),
             fmt::format("{} bytes", bytes.size()));
    }
  }

  // The first bytes of a member, or all of them. What follows is passed over by next().
  void read_start(struct archive_entry* entry, std::vector<std::byte>& bytes, std::size_t most) {
    bytes.clear();
    while (bytes.size() < most && append_block(entry, bytes)) {
    }
    bytes.resize(std::min(bytes.size(), most));
  }

  std::uint64_t size_of(struct archive_entry* entry) const {
    if (archive_entry_size_is_set(entry) == 0) {
      refuse("members that say their size", printable(name_of(entry)));
    }
    return static_cast<std::uint64_t>(archive_entry_size(entry));
  }

 private:
  // False at the member's end.
  bool append_block(struct archive_entry* entry, std::vector<std::byte>& bytes) {
    const void* block = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(archive_.get(), &block, &length, &offset);
    if (status == ARCHIVE_EOF) return false;
    check(status);
    if (static_cast<std::uint64_t>(offset) != bytes.size()) {
      refuse("members without holes", "a sparse file: " + printable(name_of(entry)));
    }
    if (length > max_ - bytes.size()) {
      refuse(fmt::format("members of at most {} bytes", max_), printable(name_of(entry)));
    }
    const auto* first = static_cast<const std::byte*>(block);
    bytes.insert(bytes.end(), first, first + length);
    return true;
  }

  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const {
    throw Error(expected, name_ + ": " + found,
                "download or pack the archive again (tar, tar.gz, tar.xz, tar.zst or zip)");
  }

  void check(int status) const {
    if (status == ARCHIVE_OK) return;
    if (gzip_ && gzip_->failure) std::rethrow_exception(gzip_->failure);
    const char* reason = archive_error_string(archive_.get());
    refuse("a whole tar or zip archive", reason == nullptr ? "damaged" : printable(reason));
  }

  // A name with letters that the process's locale cannot show is no damage.
  bool only_the_locale() const {
    const char* reason = archive_error_string(archive_.get());
    return reason != nullptr &&
           std::string_view(reason).find("can't be converted") != std::string_view::npos;
  }

  // Their contents lie under another name; to pass over them in silence would lose items.
  void refuse_links(struct archive_entry* entry) const {
    if (archive_entry_hardlink_utf8(entry) != nullptr || archive_entry_hardlink(entry) != nullptr) {
      refuse("members with contents of their own", "a hard link: " + printable(name_of(entry)));
    }
  }

  // An archive cut between two members looks like a shorter one, except that the block of zeros
  // that ends a tar is missing.
  void finish() {
    const bool tar =
        (archive_format(archive_.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    const la_int64_t read = archive_filter_bytes(archive_.get(), 0);
    if (tar && archive_read_header_position(archive_.get()) >= read) {
      refuse("a whole tar archive", "no end-of-archive mark");
    }
    // gzip's checksum comes last.
    while (gzip_ && gzip_->reader.read(gzip_->block) > 0) {
    }
  }

  std::string name_;
  std::uint64_t max_;
  File file_;
  std::unique_ptr<GzipFeed> gzip_;
  Archive archive_;
};

}  // namespace

void for_each_member(
    const std::filesystem::path& archive,
    const std::function<void(const std::string& name, std::span<const std::byte> bytes)>& visit,
    std::uint64_t max_member_bytes) {
  Reader reader(archive, max_member_bytes);
  std::vector<std::byte> bytes;
  while (struct archive_entry* entry = reader.next()) {
    const std::string name = reader.name_of(entry);
    reader.read(entry, bytes);
    visit(name, bytes);
  }
}

void for_each_member_start(const std::filesystem::path& archive, std::size_t most,
                           const VisitStart& visit) {
  // `most` is the limit here.
  Reader reader(archive, std::numeric_limits<std::uint64_t>::max());
  std::vector<std::byte> start;
  while (struct archive_entry* entry = reader.next()) {
    const std::string name = reader.name_of(entry);
    reader.read_start(entry, start, most);
    visit(name, start, reader.size_of(entry));
  }
}

std::vector<std::string> member_names(const std::filesystem::path& archive) {
  Reader reader(archive, 0);
  std::vector<std::string> names;
  while (struct archive_entry* entry = reader.next()) names.push_back(reader.name_of(entry));
  return names;
}

bool is_archive_name(const std::filesystem::path& path) {
  const std::string name = name_in_small_letters(path);
  constexpr std::array<std::string_view, 6> endings{".tar",    ".tar.gz",  ".tgz",
                                                    ".tar.xz", ".tar.zst", ".zip"};
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

std::vector<std::byte> read_maybe_gzip(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const File file = File::open_to_read(path);
  const bool named_gzip = path.extension() == ".gz";
  if (!is_gzip(file)) {
    if (!named_gzip) return read_file(path, max_bytes);
    throw Error("a gzip file", path.string() + ": not gzip inside", "download the file again");
  }
  GzipReader reader(file);
  std::vector<std::byte> bytes;
  std::array<std::byte, block_bytes> block{};
  while (const std::size_t length = reader.read(block)) {
    if (length > max_bytes - bytes.size()) {
      throw Error(fmt::format("at most {} bytes when unpacked", max_bytes), path.string(),
                  "check that it is the right file");
    }
    bytes.insert(bytes.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(length));
  }
  return bytes;
}

namespace {

struct FreeWriter {
  void operator()(struct archive* a) const { archive_write_free(a); }
};

la_ssize_t append(struct archive*, void* data, const void* bytes, std::size_t count) {
  static_cast<std::string*>(data)->append(static_cast<const char*>(bytes), count);
  return static_cast<la_ssize_t>(count);
}

void require_written(int status, struct archive* writer, const std::filesystem::path& path) {
  if (status >= ARCHIVE_OK) return;
  throw Error("a zip file to be written",
              fmt::format("{}: {}", path.string(), archive_error_string(writer)),
              "make room in memory, or write less");
}

}  // namespace

void write_zip(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, std::string>>& members) {
  std::string zip;
  {
    const std::unique_ptr<struct archive, FreeWriter> writer(archive_write_new());
    struct archive* w = writer.get();
    require_written(archive_write_set_format_zip(w), w, path);
    require_written(archive_write_zip_set_compression_store(w), w, path);
    require_written(archive_write_set_bytes_in_last_block(w, 1), w, path);
    require_written(archive_write_open(w, &zip, nullptr, append, nullptr), w, path);
    for (const auto& [name, bytes] : members) {
      const std::unique_ptr<struct archive_entry, void (*)(struct archive_entry*)> entry(
          archive_entry_new(), archive_entry_free);
      archive_entry_set_pathname(entry.get(), name.c_str());
      archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
      archive_entry_set_filetype(entry.get(), AE_IFREG);
      archive_entry_set_perm(entry.get(), 0644);
      require_written(archive_write_header(w, entry.get()), w, path);
      const la_ssize_t written = archive_write_data(w, bytes.data(), bytes.size());
      require_written(written == static_cast<la_ssize_t>(bytes.size()) ? ARCHIVE_OK : ARCHIVE_FATAL,
                      w, path);
    }
    require_written(archive_write_close(w), w, path);
  }
  write_file_atomically(path, zip);
}

}  // namespace calor::io
