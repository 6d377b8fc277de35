// What the tests of calor/io share: a folder that vanishes, children that may die, and builders of
// good and bad files.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calor/core/error.h"
#include "calor/io/bytes.h"
#include "tests/support/deaths.h"

namespace calor::io::testing {

namespace fs = std::filesystem;
using test::die_at_every_change;
using test::in_child;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "calor-io-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  TemporaryFolder(TemporaryFolder&&) = delete;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;

  fs::path operator/(std::string_view name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Without the care of the library, as another program would leave it.
inline void put(const fs::path& path, std::string_view contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

inline std::string get(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Calls `check(length)` with the file at `path` cut to every length below that of `bytes`.
inline void for_each_truncation(const fs::path& path, std::string_view bytes,
                                const std::function<void(std::size_t)>& check) {
  put(path, bytes);
  for (std::size_t length = bytes.size(); length-- > 0;) {
    fs::resize_file(path, length);
    check(length);
  }
}

// The error that `action` ends in; fails the test where there is none.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_FALSE(error.expected().empty());
    EXPECT_FALSE(error.found().empty());
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

inline ::testing::AssertionResult has(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << text << "\" lacks \"" << part << "\"";
}

// The number in little-endian bytes.
template <class Integer>
std::string little(Integer value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

inline std::string big_32(std::uint64_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>((value >> shift) & 0xff));
  }
  return text;
}

inline std::string safetensors(std::string_view header, std::string_view data = {}) {
  return little(static_cast<std::uint64_t>(header.size())).append(header).append(data);
}

inline std::string npy(std::string_view literal, std::string_view data = {}) {
  std::string text("\x93NUMPY\x01\x00", 8);
  return text.append(little(static_cast<std::uint16_t>(literal.size())))
      .append(literal)
      .append(data);
}

inline std::string idx(const std::vector<std::uint32_t>& shape, std::string_view data) {
  std::string text("\0\0\x08", 3);
  text.push_back(static_cast<char>(shape.size()));
  for (const std::uint32_t size : shape) text += big_32(size);
  return text.append(data);
}

inline std::string deflated(std::string_view data, int window_bits) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflate");
  }
  std::string out(deflateBound(&stream, data.size()) + 32, '\0');
  std::string in(data);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string zlib(std::string_view data) { return deflated(data, MAX_WBITS); }
inline std::string gzip(std::string_view data) { return deflated(data, MAX_WBITS + 16); }

using Members = std::vector<std::pair<std::string, std::string>>;

// An archive made by libarchive; its type follows from the ending of the name.
inline void put_archive(const fs::path& path, const Members& members) {
  struct archive* out = archive_write_new();
  archive_write_set_format_filter_by_ext(out, path.c_str());
  if (archive_write_open_filename(out, path.c_str()) != ARCHIVE_OK) {
    throw std::runtime_error(archive_error_string(out));
  }
  struct archive_entry* entry = archive_entry_new();
  for (const auto& [name, contents] : members) {
    archive_entry_clear(entry);
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(contents.size()));
    archive_entry_set_filetype(entry, name.ends_with('/') ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(out, entry);
    archive_write_data(out, contents.data(), contents.size());
  }
  archive_entry_free(entry);
  archive_write_close(out);
  archive_write_free(out);
}

inline std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type).append(data);
  const uLong sum =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_32(data.size()) + body + big_32(sum);
}

struct PngParts {
  std::uint32_t width = 1;
  std::uint32_t height = 1;
  int depth = 8;
  int colour = 0;  // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  bool interlaced = false;
  std::string before_data;  // chunks
  std::string rows;         // each with its filter byte
};

inline std::string png(const PngParts& parts) {
  std::string header = big_32(parts.width) + big_32(parts.height);
  header.push_back(static_cast<char>(parts.depth));
  header.push_back(static_cast<char>(parts.colour));
  header.append(2, '\0').push_back(parts.interlaced ? '\1' : '\0');
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + parts.before_data +
         png_chunk("IDAT", zlib(parts.rows)) + png_chunk("IEND", "");
}

inline std::vector<std::int64_t> shape_of(const at::Tensor& tensor) { return tensor.sizes().vec(); }

}  // namespace calor::io::testing
