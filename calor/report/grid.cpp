#include "calor/report/grid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace calor::report {
namespace {

constexpr std::int64_t line_width = 2;
constexpr int line_grey = 64;

}  // namespace

at::Tensor tile(const at::Tensor& pictures, std::int64_t columns, std::int64_t least_side) {
  const std::int64_t side = std::max(pictures.size(2), pictures.size(3));
  const std::int64_t factor = std::max<std::int64_t>(1, (least_side + side - 1) / side);
  const at::Tensor large = pictures.repeat_interleave(factor, 2).repeat_interleave(factor, 3);
  const std::int64_t n = large.size(0);
  if (columns == 0)
    columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
  columns = std::max<std::int64_t>(1, std::min(columns, n));
  const std::int64_t rows = (n + columns - 1) / columns;
  const std::int64_t height = large.size(2) + line_width;
  const std::int64_t width = large.size(3) + line_width;
  at::Tensor sheet =
      at::full({large.size(1), rows * height + line_width, columns * width + line_width}, line_grey,
               at::kByte);
  for (std::int64_t i = 0; i < n; ++i) {
    sheet.narrow(1, i / columns * height + line_width, large.size(2))
        .narrow(2, i % columns * width + line_width, large.size(3))
        .copy_(large[i]);
  }
  return sheet;
}

}  // namespace calor::report
