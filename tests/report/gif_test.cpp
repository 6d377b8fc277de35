// Moving pictures, decoded again by giflib's reader.
#include "calor/report/gif.h"

#include <ATen/ATen.h>
#include <gif_lib.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "tests/support/folder.h"

namespace calor::report {
namespace {

struct Decoded {
  std::vector<at::Tensor> frames;  // uint8 [3, H, W]
  std::vector<int> hundredths;
};

Decoded decode(const std::filesystem::path& path) {
  int status = 0;
  GifFileType* gif = DGifOpenFileName(path.c_str(), &status);
  EXPECT_NE(gif, nullptr);
  if (gif == nullptr) return {};
  EXPECT_EQ(DGifSlurp(gif), GIF_OK);
  Decoded out;
  for (int i = 0; i < gif->ImageCount; ++i) {
    const SavedImage& image = gif->SavedImages[i];
    const std::int64_t h = image.ImageDesc.Height, w = image.ImageDesc.Width;
    at::Tensor frame = at::empty({3, h, w}, at::kByte);
    auto* bytes = frame.data_ptr<std::uint8_t>();
    for (std::int64_t p = 0; p < h * w; ++p) {
      const GifColorType& colour = gif->SColorMap->Colors[image.RasterBits[p]];
      bytes[p] = colour.Red;
      bytes[h * w + p] = colour.Green;
      bytes[2 * h * w + p] = colour.Blue;
    }
    out.frames.push_back(frame);
    GraphicsControlBlock control{};
    EXPECT_EQ(DGifSavedExtensionToGCB(gif, i, &control), GIF_OK);
    out.hundredths.push_back(control.DelayTime);
  }
  DGifCloseFile(gif, &status);
  return out;
}

TEST(Gif, FewColoursAreKept) {
  const test::Folder folder;
  std::vector<at::Tensor> frames;
  for (std::int64_t i = 0; i < 3; ++i) {
    at::Tensor frame = at::full({3, 7, 11}, 30 * i, at::kByte);
    frame[0].narrow(1, i, 4).fill_(255);
    frame[1][i].fill_(17);
    frames.push_back(frame);
  }
  write_gif(folder.path() / "a.gif", frames, 10);
  const Decoded back = decode(folder.path() / "a.gif");
  ASSERT_EQ(back.frames.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(back.frames[i], frames[i])) << i;
    EXPECT_EQ(back.hundredths[i], 10);
  }
  const std::string bytes = io::read_text(folder.path() / "a.gif");
  EXPECT_NE(bytes.find("NETSCAPE2.0"), std::string::npos);
  write_gif(folder.path() / "b.gif", frames, 10);
  EXPECT_EQ(io::read_text(folder.path() / "b.gif"), bytes);
}

TEST(Gif, ManyColoursBecomeTheirNeighbours) {
  const test::Folder folder;
  // 32 x 32 greys and a slope of green: 1024 colours.
  const at::Tensor ramp = at::arange(32, at::kByte) * 8;
  const at::Tensor red = ramp.view({1, 32}).expand({32, 32});
  const at::Tensor green = ramp.view({32, 1}).expand({32, 32});
  const at::Tensor frame = at::stack({red, green, red}).contiguous();
  write_gif(folder.path() / "a.gif", {frame, frame.flip({1}).contiguous()}, 25);
  const Decoded back = decode(folder.path() / "a.gif");
  ASSERT_EQ(back.frames.size(), 2U);
  EXPECT_EQ(back.hundredths[0], 4);
  const at::Tensor error = (back.frames[0].to(at::kInt) - frame.to(at::kInt)).abs();
  // Four bits are dropped: cells of 2 x 2 colours, 8 apart, whose mean is 4 from each.
  EXPECT_EQ(error.max().item<int>(), 4);
  EXPECT_TRUE(at::equal(back.frames[1], back.frames[0].flip({1})));
}

TEST(Gif, OneColourAndGrey) {
  const test::Folder folder;
  const at::Tensor grey = at::full({1, 5, 5}, 9, at::kByte);
  write_gif(folder.path() / "a.gif", {grey}, 100);
  EXPECT_TRUE(at::equal(decode(folder.path() / "a.gif").frames.at(0), grey.expand({3, 5, 5})));
}

TEST(Gif, WrongFramesAreRefused) {
  const test::Folder folder;
  const auto path = folder.path() / "a.gif";
  const at::Tensor good = at::zeros({3, 4, 4}, at::kByte);
  EXPECT_THROW(write_gif(path, {}, 10), Error);
  EXPECT_THROW(write_gif(path, {good, at::zeros({3, 4, 5}, at::kByte)}, 10), Error);
  EXPECT_THROW(write_gif(path, {at::zeros({3, 4, 4})}, 10), Error);
  EXPECT_THROW(write_gif(path, {at::zeros({2, 4, 4}, at::kByte)}, 10), Error);
  EXPECT_THROW(write_gif(path, {at::zeros({3, 0, 4}, at::kByte)}, 10), Error);
  EXPECT_THROW(write_gif(path, {good}, 0), Error);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace calor::report
