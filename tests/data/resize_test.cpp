#include "calor/data/resize.h"

#include "tests/data/support.h"

namespace calor::data {
namespace {

using testing::noise;

TEST(Resize, LeavesWhatFits) {
  const at::Tensor picture = noise({3, 8, 8});
  EXPECT_TRUE(at::equal(resize_and_crop(picture, 8), picture));
}

TEST(Resize, CutsTheMiddle) {
  const at::Tensor wide = noise({1, 8, 13});
  EXPECT_TRUE(at::equal(resize_and_crop(wide, 8), wide.slice(2, 2, 10)));
  const at::Tensor tall = noise({1, 20, 8});
  EXPECT_TRUE(at::equal(resize_and_crop(tall, 8), tall.slice(1, 6, 14)));
}

TEST(Resize, KeepsAnEvenColour) {
  for (const std::int64_t value : {0, 1, 77, 255}) {
    const at::Tensor picture = at::full({1, 37, 51}, value, at::kByte);
    for (const std::int64_t size : {1, 5, 36, 37, 64}) {
      EXPECT_TRUE((resize_and_crop(picture, size) == value).all().item<bool>());
    }
  }
}

// Without antialiasing, taking every 16th pixel of a checkerboard gives all black or all white.
TEST(Resize, AveragesFineDetail) {
  const at::Tensor index = at::arange(128);
  const at::Tensor board = (index.unsqueeze(0) + index.unsqueeze(1)).remainder(2).mul(255);
  const at::Tensor small = resize_and_crop(board.to(at::kByte).unsqueeze(0), 8).to(at::kFloat);
  EXPECT_LE((small - 127.5).abs().max().item<float>(), 3.0F);
}

// An affine picture stays affine: pixel o covers source coordinates around (o + 1/2) * scale - 1/2.
TEST(Resize, PutsPixelsWhereTheyBelong) {
  const at::Tensor ramp = at::arange(0, 240, 2).to(at::kByte).expand({1, 120, 120});
  for (const std::int64_t size : {24, 40, 60}) {
    const double scale = 120.0 / static_cast<double>(size);
    const at::Tensor expected = ((at::arange(size) + 0.5) * scale - 0.5) * 2;
    const at::Tensor row = resize_and_crop(ramp, size)[0][0].to(at::kDouble);
    const at::Tensor inner = (row - expected).slice(0, 2, size - 2);
    EXPECT_LE(inner.abs().max().item<double>(), 0.51) << size;
  }
}

TEST(Resize, GrowsAndShrinksExtremes) {
  EXPECT_EQ(resize_and_crop(noise({3, 1, 1}), 5).sizes(), at::IntArrayRef({3, 5, 5}));
  EXPECT_EQ(resize_and_crop(noise({1, 2, 500}), 3).sizes(), at::IntArrayRef({1, 3, 3}));
  EXPECT_EQ(resize_and_crop(noise({1, 500, 3}), 1).sizes(), at::IntArrayRef({1, 1, 1}));
}

TEST(Resize, TakesViews) {
  const at::Tensor view = noise({12, 9, 3}).permute({2, 0, 1});
  EXPECT_TRUE(at::equal(resize_and_crop(view, 4), resize_and_crop(view.contiguous(), 4)));
}

}  // namespace
}  // namespace calor::data
