// Pictures side by side: how large the sheet is, and where each one lies.
#include "calor/report/grid.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace calor::report {
namespace {

TEST(Grid, IsAsLargeAsSaid) {
  for (const std::int64_t count : {1, 7, 12}) {
    for (const std::int64_t columns : {0, 1, 5, 20}) {
      for (const std::int64_t least : {0, 9}) {
        const at::Tensor pictures = at::full({count, 1, 4, 6}, 200, at::kByte);
        const auto [height, width] = tiled_size(count, 4, 6, columns, least);
        EXPECT_EQ(tile(pictures, columns, least).sizes(), (at::IntArrayRef{1, height, width}));
      }
    }
  }
}

TEST(Grid, GoesRowByRow) {
  at::Tensor pictures = at::zeros({3, 1, 2, 2}, at::kByte);
  for (std::int64_t i = 0; i < 3; ++i) pictures[i].fill_(100 + i);
  const at::Tensor sheet = tile(pictures, 2);
  EXPECT_EQ(sheet[0][2][2].item<int>(), 100);
  EXPECT_EQ(sheet[0][2][6].item<int>(), 101);
  EXPECT_EQ(sheet[0][6][2].item<int>(), 102);
}

}  // namespace
}  // namespace calor::report
