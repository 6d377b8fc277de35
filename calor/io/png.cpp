// PNG through libpng's classic interface. Its errors are longjmps, which must not pass over C++
// objects with destructors: each function that calls setjmp below holds plain values only, and says
// by its result whether libpng was content.
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <new>

#include "calor/io/bytes.h"
#include "calor/io/picture_pixels.h"

namespace calor::io {
namespace {

struct Source {
  const std::byte* data;
  std::size_t left;
  std::array<char, 160> message{};
};

void read_bytes(png_structp png, png_bytep out, std::size_t length) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (length > source.left) png_error(png, "the file is cut short");
  std::memcpy(out, source.data, length);
  source.data += length;
  source.left -= length;
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto& text = static_cast<Source*>(png_get_error_ptr(png))->message;
  std::strncpy(text.data(), message, text.size() - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : source_{bytes.data(), bytes.size()} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source_, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, &source_, read_bytes);
  }
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  Decoder(Decoder&&) = delete;
  Decoder& operator=(Decoder&&) = delete;

  // Everything before the pixels.
  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(png_, info_);
    return true;
  }

  // 8 bits a sample, palettes to RGB, transparent colours to alpha.
  bool prepare() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  // The pixels, and the rest of the file up to its end mark with all checksums.
  bool read_rows(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  std::size_t width() const { return png_get_image_width(png_, info_); }
  std::size_t height() const { return png_get_image_height(png_, info_); }
  std::size_t samples() const { return png_get_channels(png_, info_); }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  unsigned bits_per_pixel() const {
    return png_get_channels(png_, info_) * unsigned{png_get_bit_depth(png_, info_)};
  }
  const char* message() const { return source_.message.data(); }

 private:
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

Pixels decode_png(std::span<const std::byte> bytes, const std::string& file) {
  Decoder decoder(bytes);
  const auto check = [&](bool content) {
    if (!content) refuse_picture("a whole PNG picture", file, printable(decoder.message()));
  };
  check(decoder.read_header());
  // Deflate packs at most 1,032 to 1.
  check_picture_size(decoder.width(), decoder.height(), bytes.size(),
                     1032 * 8 / decoder.bits_per_pixel(), file);
  check(decoder.prepare());
  Pixels pixels{decoder.width(), decoder.height(), decoder.samples(), {}};
  if (decoder.row_bytes() != pixels.width * pixels.samples) {
    refuse_picture("8 bits a sample", file, "another layout");
  }
  pixels.bytes.resize(decoder.row_bytes() * pixels.height);
  std::vector<png_bytep> rows(pixels.height);
  for (std::size_t y = 0; y < rows.size(); ++y) {
    rows[y] = pixels.bytes.data() + y * decoder.row_bytes();
  }
  check(decoder.read_rows(rows.data()));
  return pixels;
}

}  // namespace calor::io
