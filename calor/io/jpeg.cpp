// JPEG through libjpeg-turbo. Every warning is an error here: libjpeg fills what is missing with
// grey and goes on. Errors are longjmps, which must not pass over C++ objects with destructors:
// each function that calls setjmp below holds plain values only.
#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include <jpeglib.h>

#include "calor/io/bytes.h"
#include "calor/io/picture_pixels.h"

namespace calor::io {
namespace {

// A progressive picture of a few bytes a scan can have thousands of scans, each a pass over all the
// pixels; real ones have about ten.
constexpr int max_scans = 100;

struct ErrorManager {
  jpeg_error_mgr base{};  // first, so that libjpeg's pointer to it is one to the whole
  std::jmp_buf jump{};
  std::array<char, JMSG_LENGTH_MAX> message{};
};

[[noreturn]] void on_error(j_common_ptr jpeg) {
  auto& errors = *reinterpret_cast<ErrorManager*>(jpeg->err);
  jpeg->err->format_message(jpeg, errors.message.data());
  std::longjmp(errors.jump, 1);
}

void on_message(j_common_ptr jpeg, int level) {
  constexpr int warning = -1;
  if (level == warning) on_error(jpeg);
}

void on_progress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= max_scans) return;
  auto& errors = *reinterpret_cast<ErrorManager*>(jpeg->err);
  std::snprintf(errors.message.data(), errors.message.size(), "more than %d scans", max_scans);
  std::longjmp(errors.jump, 1);
}

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : bytes_(bytes) {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_error;
    errors_.base.emit_message = on_message;
    progress_.progress_monitor = on_progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&jpeg_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  Decoder(Decoder&&) = delete;
  Decoder& operator=(Decoder&&) = delete;

  bool read_header() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool start() {
    if (setjmp(errors_.jump) != 0) return false;
    const bool print = jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
    const bool grey = jpeg_.jpeg_color_space == JCS_GRAYSCALE;
    jpeg_.out_color_space = print ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  bool read_rows(std::uint8_t* first, std::size_t row_bytes) {
    if (setjmp(errors_.jump) != 0) return false;
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = first + jpeg_.output_scanline * row_bytes;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  std::size_t width() const { return jpeg_.image_width; }
  std::size_t height() const { return jpeg_.image_height; }
  std::size_t samples() const { return static_cast<std::size_t>(jpeg_.output_components); }
  bool arithmetic() const { return jpeg_.arith_code != 0; }
  bool inverted_inks() const { return jpeg_.saw_Adobe_marker != 0; }
  const char* message() const { return errors_.message.data(); }

 private:
  std::span<const std::byte> bytes_;
  ErrorManager errors_;
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct jpeg_{};
};

// Inks to light without a colour profile, in place: red = (1 - cyan) (1 - black). Adobe's files,
// which are nearly all, store 255 for no ink.
void inks_to_rgb(Pixels& pixels, bool inverted) {
  auto out = pixels.bytes.begin();
  for (std::size_t i = 0; i < pixels.bytes.size(); i += 4) {
    const auto light = [&](std::size_t ink) {
      const unsigned value = pixels.bytes[i + ink];
      return inverted ? value : 255 - value;
    };
    const unsigned black = light(3);
    for (std::size_t ink = 0; ink < 3; ++ink) {
      *out++ = static_cast<std::uint8_t>((light(ink) * black + 127) / 255);
    }
  }
  pixels.bytes.erase(out, pixels.bytes.end());
  pixels.samples = 3;
}

}  // namespace

Pixels decode_jpeg(std::span<const std::byte> bytes, const std::string& file) {
  Decoder decoder(bytes);
  const auto check = [&](bool content) {
    if (!content) refuse_picture("a whole JPEG picture", file, printable(decoder.message()));
  };
  check(decoder.read_header());
  if (decoder.arithmetic()) refuse_picture("a JPEG with Huffman codes", file, "arithmetic codes");
  // A block of 64 pixels takes at least a bit, in a colour component that may have a sixteenth of
  // the picture's resolution.
  check_picture_size(decoder.width(), decoder.height(), bytes.size(), std::uint64_t{8} * 64 * 16,
                     file);
  check(decoder.start());
  Pixels pixels{decoder.width(), decoder.height(), decoder.samples(), {}};
  const std::size_t row_bytes = pixels.width * pixels.samples;
  pixels.bytes.resize(row_bytes * pixels.height);
  check(decoder.read_rows(pixels.bytes.data(), row_bytes));
  if (pixels.samples == 4) inks_to_rgb(pixels, decoder.inverted_inks());
  return pixels;
}

}  // namespace calor::io
