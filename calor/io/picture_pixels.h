// What the PNG and JPEG decoders hand to picture.cpp, and the limits that both keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace calor::io {

// Rows from the top, samples interleaved: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
struct Pixels {
  std::size_t width = 0;
  std::size_t height = 0;
  std::size_t samples = 0;
  std::vector<std::uint8_t> bytes;
};

constexpr std::uint64_t picture_max_side = 16'384;
constexpr std::uint64_t picture_max_pixels = 100'000'000;

// Error where the picture is larger than the limits, or where its pixels cannot come from a file of
// `file_bytes`, each byte of which unpacks to at most `most_per_byte` pixels.
void check_picture_size(std::uint64_t width, std::uint64_t height, std::uint64_t file_bytes,
                        std::uint64_t most_per_byte, const std::string& file);

[[noreturn]] void refuse_picture(const std::string& expected, const std::string& file,
                                 const std::string& found);

Pixels decode_png(std::span<const std::byte> bytes, const std::string& file);
Pixels decode_jpeg(std::span<const std::byte> bytes, const std::string& file);

}  // namespace calor::io
