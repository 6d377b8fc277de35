#include "calor/io/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::io {

struct GzipReader::Stream {
  explicit Stream(const File& gzip) : file(gzip), size(gzip.size()) {}
  ~Stream() { inflateEnd(&state); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  Stream(Stream&&) = delete;
  Stream& operator=(Stream&&) = delete;

  // Reads more of the file; false at its end.
  bool refill() {
    const auto length = std::min<std::uint64_t>(input.size(), size - offset);
    file.read_exactly(offset, std::span(input).first(length));
    offset += length;
    state.next_in = reinterpret_cast<Bytef*>(input.data());
    state.avail_in = static_cast<uInt>(length);
    return length > 0;
  }

  [[noreturn]] void refuse(const std::string& found) const {
    throw Error("a whole gzip file", file.path().string() + ": " + found,
                "download or pack the file again");
  }

  // Inflates until something comes out, or the end of the last member.
  void advance() {
    if (state.avail_in == 0 && !refill()) {
      if (between_members) {
        at_end = true;
        return;
      }
      refuse("it ends in the middle");
    }
    between_members = false;
    const int status = inflate(&state, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {  // its checksum and length have been verified
      between_members = true;
      inflateReset(&state);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      refuse(state.msg == nullptr ? "damaged" : printable(state.msg));
    }
  }

  const File& file;
  std::uint64_t size;
  std::uint64_t offset = 0;
  z_stream state{};
  bool between_members = false;  // gzip files may follow one another and count as one
  bool at_end = false;
  std::array<std::byte, std::size_t{1} << 16> input{};
};

GzipReader::GzipReader(const File& file) : stream_(std::make_unique<Stream>(file)) {
  constexpr int gzip_only = 16;
  if (inflateInit2(&stream_->state, MAX_WBITS + gzip_only) != Z_OK) throw std::bad_alloc();
}

GzipReader::~GzipReader() = default;

std::size_t GzipReader::read(std::span<std::byte> bytes) {
  Stream& stream = *stream_;
  const auto wanted = static_cast<uInt>(std::min<std::size_t>(bytes.size(), 1U << 30));
  stream.state.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.state.avail_out = wanted;
  while (stream.state.avail_out == wanted && !stream.at_end) stream.advance();
  return wanted - stream.state.avail_out;
}

}  // namespace calor::io
