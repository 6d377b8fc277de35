// Many pictures as one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::report {

// The pixels that tile() makes of so many pictures of height x width.
struct TiledSize {
  std::int64_t height, width;
};
TiledSize tiled_size(std::int64_t count, std::int64_t height, std::int64_t width,
                     std::int64_t columns, std::int64_t least_side);

// Tiles uint8 [N, C, H, W] into uint8 [C, rows, columns] with thin separating lines, row by row;
// `columns` pictures in a row (0: about square). Small pictures are enlarged by whole factors until
// they are at least `least_side` pixels.
at::Tensor tile(const at::Tensor& pictures, std::int64_t columns = 0, std::int64_t least_side = 0);

}  // namespace calor::report
