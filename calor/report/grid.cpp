#include "calor/report/grid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace calor::report {
namespace {

constexpr std::int64_t line_width = 2;
constexpr int line_grey = 64;

std::int64_t enlargement(std::int64_t height, std::int64_t width, std::int64_t least_side) {
  const std::int64_t side = std::max(height, width);
  return std::max<std::int64_t>(1, (least_side + side - 1) / side);
}

std::int64_t columns_of(std::int64_t count, std::int64_t columns) {
  if (columns == 0) {
    columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  }
  return std::max<std::int64_t>(1, std::min(columns, count));
}

}  // namespace

TiledSize tiled_size(std::int64_t count, std::int64_t height, std::int64_t width,
                     std::int64_t columns, std::int64_t least_side) {
  const std::int64_t factor = enlargement(height, width, least_side);
  columns = columns_of(count, columns);
  const std::int64_t rows = (count + columns - 1) / columns;
  return {.height = rows * (factor * height + line_width) + line_width,
          .width = columns * (factor * width + line_width) + line_width};
}

at::Tensor tile(const at::Tensor& pictures, std::int64_t columns, std::int64_t least_side) {
  const std::int64_t factor = enlargement(pictures.size(2), pictures.size(3), least_side);
  const at::Tensor large = pictures.repeat_interleave(factor, 2).repeat_interleave(factor, 3);
  const std::int64_t n = large.size(0);
  const auto whole = tiled_size(n, pictures.size(2), pictures.size(3), columns, least_side);
  columns = columns_of(n, columns);
  const std::int64_t height = large.size(2) + line_width;
  const std::int64_t width = large.size(3) + line_width;
  at::Tensor sheet = at::full({large.size(1), whole.height, whole.width}, line_grey, at::kByte);
  for (std::int64_t i = 0; i < n; ++i) {
    sheet.narrow(1, i / columns * height + line_width, large.size(2))
        .narrow(2, i % columns * width + line_width, large.size(3))
        .copy_(large[i]);
  }
  return sheet;
}

}  // namespace calor::report
