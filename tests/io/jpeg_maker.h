// JPEG files for the tests, made by libjpeg itself.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <jpeglib.h>

namespace calor::io::testing {

// A gradient of `samples` interleaved 8-bit samples a pixel, as JPEG of that colour space.
inline std::string jpeg(unsigned width, unsigned height, J_COLOR_SPACE space, int samples,
                        bool progressive = false) {
  jpeg_error_mgr errors{};
  jpeg_compress_struct writer{};
  writer.err = jpeg_std_error(&errors);
  jpeg_create_compress(&writer);
  unsigned char* memory = nullptr;
  unsigned long length = 0;
  jpeg_mem_dest(&writer, &memory, &length);
  writer.image_width = width;
  writer.image_height = height;
  writer.input_components = samples;
  writer.in_color_space = space;
  jpeg_set_defaults(&writer);
  jpeg_set_quality(&writer, 95, TRUE);
  if (progressive) jpeg_simple_progression(&writer);
  jpeg_start_compress(&writer, TRUE);
  std::vector<JSAMPLE> row(std::size_t{width} * static_cast<std::size_t>(samples));
  for (unsigned y = 0; y < height; ++y) {
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<JSAMPLE>(8 * y + i);
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&writer, &rows, 1);
  }
  jpeg_finish_compress(&writer);
  jpeg_destroy_compress(&writer);
  std::string bytes(reinterpret_cast<const char*>(memory), length);
  std::free(memory);
  return bytes;
}

}  // namespace calor::io::testing
