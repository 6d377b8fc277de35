#include "calor/io/picture.h"

#include <fmt/format.h>
#include <png.h>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/ending.h"
#include "calor/io/picture_pixels.h"

namespace calor::io {
namespace {

// sample x alpha on white, rounded.
std::uint8_t on_white(unsigned sample, unsigned alpha) {
  return static_cast<std::uint8_t>((sample * alpha + 255 * (255 - alpha) + 127) / 255);
}

// Rec. 601 luma with 16 fractional bits, as Pillow's convert("L").
std::uint8_t luma(unsigned red, unsigned green, unsigned blue) {
  return static_cast<std::uint8_t>((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16);
}

void compose_on_white(Pixels& pixels) {
  const std::size_t colours = pixels.samples - 1;
  auto out = pixels.bytes.begin();
  for (std::size_t i = 0; i < pixels.bytes.size(); i += pixels.samples) {
    const unsigned alpha = pixels.bytes[i + colours];
    for (std::size_t c = 0; c < colours; ++c) *out++ = on_white(pixels.bytes[i + c], alpha);
  }
  pixels.bytes.erase(out, pixels.bytes.end());
  pixels.samples = colours;
}

// Interleaved grey or RGB to planes of 1 or 3 channels.
at::Tensor to_planes(const Pixels& pixels, std::size_t channels, const std::string& file) {
  at::Tensor tensor =
      allocate({static_cast<std::int64_t>(channels), static_cast<std::int64_t>(pixels.height),
                static_cast<std::int64_t>(pixels.width)},
               at::kByte, file);
  auto* const planes = tensor.mutable_data_ptr<std::uint8_t>();
  const std::uint8_t* const in = pixels.bytes.data();
  const std::size_t count = pixels.width * pixels.height;
  const bool to_grey = channels == 1 && pixels.samples == 3;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::size_t source = pixels.samples == 3 ? c : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* const pixel = in + i * pixels.samples;
      planes[c * count + i] = to_grey ? luma(pixel[0], pixel[1], pixel[2]) : pixel[source];
    }
  }
  return tensor;
}

Pixels decode(std::span<const std::byte> bytes, const std::string& file) {
  const std::string_view text = as_text(bytes);
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(bytes, file);
  if (text.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, file);
  throw Error("a PNG or JPEG picture",
              file + (bytes.empty() ? ": an empty file" : ": the first bytes of neither"),
              "convert it to PNG");
}

void check_picture(const at::Tensor& picture, const std::filesystem::path& path) {
  const auto fits = [](std::int64_t side) {
    return side >= 1 && side <= static_cast<std::int64_t>(picture_max_side);
  };
  const bool right = picture.defined() && picture.scalar_type() == at::kByte &&
                     picture.dim() == 3 && (picture.size(0) == 1 || picture.size(0) == 3) &&
                     fits(picture.size(1)) && fits(picture.size(2));
  if (right) return;
  throw Error("a uint8 picture of shape [1 or 3, H, W] to write",
              fmt::format("{}: {}", path.string(),
                          picture.defined()
                              ? fmt::format("{} of shape {}", c10::toString(picture.scalar_type()),
                                            shape_text(picture.sizes()))
                              : "no tensor"),
              "convert and reshape it");
}

}  // namespace

void refuse_picture(const std::string& expected, const std::string& file,
                    const std::string& found) {
  throw Error(expected, file + ": " + found,
              "copy or download the picture again, or remove it from the folder");
}

void check_picture_size(std::uint64_t width, std::uint64_t height, std::uint64_t file_bytes,
                        std::uint64_t most_per_byte, const std::string& file) {
  const std::string found = fmt::format("{} x {} pixels", width, height);
  if (width < 1 || height < 1 || width > picture_max_side || height > picture_max_side ||
      width * height > picture_max_pixels) {
    throw Error(fmt::format("a picture of 1 to {} pixels a side, and at most {} million",
                            picture_max_side, picture_max_pixels / 1'000'000),
                file + ": " + found, "scale it down");
  }
  if (width * height / most_per_byte > file_bytes) {
    refuse_picture("as many pixels as the file can hold", file,
                   fmt::format("{} in {} bytes", found, file_bytes));
  }
}

at::Tensor parse_picture(std::span<const std::byte> bytes, const std::string& name_for_errors,
                         int channels) {
  if (channels != 0 && channels != 1 && channels != 3) {
    throw Error("0, 1 or 3 channels", fmt::to_string(channels), "ask for 1 (grey) or 3 (RGB)");
  }
  Pixels pixels = decode(bytes, name_for_errors);
  if (pixels.samples % 2 == 0) compose_on_white(pixels);
  return to_planes(pixels, channels == 0 ? pixels.samples : static_cast<std::size_t>(channels),
                   name_for_errors);
}

at::Tensor read_picture(const std::filesystem::path& path, int channels) {
  constexpr std::uint64_t max_file = std::uint64_t{1} << 30;
  return parse_picture(read_file(path, max_file), path.string(), channels);
}

void write_png(const std::filesystem::path& path, const at::Tensor& picture) {
  check_picture(picture, path);
  const at::Tensor rows = to_plain(picture).permute({1, 2, 0}).contiguous();
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(rows.size(0));
  image.width = static_cast<png_uint_32>(rows.size(1));
  image.format = rows.size(2) == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t length = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> png(length);
  const int written =
      png_image_write_to_memory(&image, png.data(), &length, 0, rows.const_data_ptr(), 0, nullptr);
  if (written == 0) {
    throw Error("to encode a PNG", fmt::format("{}: {}", path.string(), image.message),
                "free some memory, or write a smaller picture");
  }
  write_file_atomically(path, std::span<const std::byte>(png).first(length));
}

bool is_picture_name(const std::filesystem::path& path) {
  const std::string ending = ending_of(path);
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

}  // namespace calor::io
