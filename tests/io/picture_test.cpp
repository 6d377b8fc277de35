// PNG and JPEG: every kind of pixel, and no picture that is damaged, cut short or a lie.
#include "calor/io/picture.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/io/jpeg_maker.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

at::Tensor parse(std::string_view bytes, int channels = 0) {
  return parse_picture(as_bytes(bytes), "photo", channels);
}

std::string refusal(std::string_view bytes) {
  const std::string error = error_of([&] { parse(bytes); });
  EXPECT_TRUE(has(error, "photo"));
  return error;
}

std::vector<std::int64_t> values(const at::Tensor& picture) {
  const at::Tensor flat = picture.reshape({-1}).to(at::kLong);
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

using Values = std::vector<std::int64_t>;

TEST(Png, RoundTripAndSameBytes) {
  const TemporaryFolder folder;
  for (const std::int64_t channels : {1, 3}) {
    const at::Tensor picture =
        (at::arange(channels * 5 * 7) * 7).remainder(256).to(at::kByte).reshape({channels, 5, 7});
    write_png(folder / "a.png", picture);
    write_png(folder / "b.png", picture.flip({2}).flip({2}));
    EXPECT_TRUE(at::equal(read_picture(folder / "a.png"), picture));
    EXPECT_EQ(get(folder / "a.png"), get(folder / "b.png"));
  }
}

TEST(Png, EveryKindOfPixel) {
  const auto chunk = [](const char* type, std::string_view data) { return png_chunk(type, data); };
  using namespace std::string_literals;
  // 1 bit grey; 16 bit grey (0x80ff / 257 = 128.5.. -> 129 rounds); grey and alpha; RGB and alpha.
  EXPECT_EQ(values(parse(png({4, 1, 1, 0, false, "", "\0\xa0"s}))), (Values{255, 0, 255, 0}));
  EXPECT_EQ(values(parse(png({1, 1, 16, 0, false, "", "\0\x80\xff"s}))), (Values{128}));
  EXPECT_EQ(values(parse(png({2, 1, 8, 4, false, "", "\0\x64\xff\x64\x00"s}))), (Values{100, 255}));
  EXPECT_EQ(values(parse(png({1, 1, 8, 6, false, "", "\0\x00\x64\xff\x80"s}))),
            (Values{127, 177, 255}));
  // A palette, with and without a transparent colour.
  const std::string palette = chunk("PLTE", "\x01\x02\x03\x0a\x14\x1e");
  EXPECT_EQ(values(parse(png({2, 1, 8, 3, false, palette, "\0\0\1"s}))),
            (Values{1, 10, 2, 20, 3, 30}));
  EXPECT_EQ(values(parse(png({2, 1, 8, 3, false, palette + chunk("tRNS", "\0"s), "\0\0\1"s}))),
            (Values{255, 10, 255, 20, 255, 30}));
  // Interlaced: of 2 x 2 pixels the passes are (0,0); (1,0); (0,1) (1,1).
  EXPECT_EQ(values(parse(png({2, 2, 8, 0, true, "", "\0\1\0\2\0\3\4"s}))), (Values{1, 2, 3, 4}));
}

TEST(Png, ChannelsAsAsked) {
  using namespace std::string_literals;
  const std::string grey = png({1, 1, 8, 0, false, "", "\0\x64"s});
  const std::string colour = png({1, 1, 8, 2, false, "", "\0\xff\x00\x00"s});
  EXPECT_EQ(values(parse(grey, 1)), (Values{100}));
  EXPECT_EQ(values(parse(grey, 3)), (Values{100, 100, 100}));
  EXPECT_EQ(values(parse(colour, 1)), (Values{76}));  // as Pillow's convert("L")
  EXPECT_EQ(shape_of(parse(colour, 0)), (std::vector<std::int64_t>{3, 1, 1}));
  EXPECT_TRUE(has(error_of([&] { parse(grey, 2); }), "channels"));
}

TEST(Png, EveryTruncationAndFlippedBitIsRefused) {
  std::string rows;
  for (char y = 0; y < 8; ++y) rows += '\0' + std::string(24, static_cast<char>(y * 31));
  const std::string bytes = png({8, 8, 8, 2, false, png_chunk("gAMA", big_32(45455)), rows});
  EXPECT_EQ(shape_of(parse(bytes)), (std::vector<std::int64_t>{3, 8, 8}));
  for (std::size_t length = 0; length < bytes.size(); ++length) refusal(bytes.substr(0, length));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THROW(parse(flipped), Error) << "bit " << bit;
  }
}

TEST(Png, SizesAreCheckedBeforeAnythingIsAllocated) {
  using namespace std::string_literals;
  const auto sized = [](std::uint32_t width, std::uint32_t height) {
    return png({width, height, 8, 2, false, "", "\0\1\2\3"s});
  };
  EXPECT_TRUE(has(refusal(sized(16'385, 1)), "16385 x 1 pixels"));
  EXPECT_TRUE(has(refusal(sized(1, 16'385)), "scale it down"));
  EXPECT_TRUE(has(refusal(sized(10'001, 10'000)), "100 million"));
  EXPECT_TRUE(has(refusal(sized(10'000, 10'000)), "as many pixels as the file can hold"));
  EXPECT_TRUE(has(refusal(sized(0xffffffff, 0xffffffff)), "photo"));
  EXPECT_TRUE(has(refusal(sized(0, 1)), "photo"));
  EXPECT_TRUE(has(refusal(sized(2, 1)), "photo"));  // the rows are too short
}

TEST(Png, OnlyPicturesAreWritten) {
  const TemporaryFolder folder;
  const auto refused = [&](const at::Tensor& picture) {
    return error_of([&] { write_png(folder / "x.png", picture); });
  };
  EXPECT_TRUE(has(refused(at::ones({3, 2, 2})), "Float of shape [3, 2, 2]"));
  EXPECT_TRUE(has(refused(at::ones({2, 2, 2}, at::kByte)), "[2, 2, 2]"));
  EXPECT_TRUE(has(refused(at::ones({2, 2}, at::kByte)), "[2, 2]"));
  EXPECT_TRUE(has(refused(at::ones({1, 0, 2}, at::kByte)), "[1, 0, 2]"));
  EXPECT_TRUE(has(refused(at::ones({1, 1, 16'385}, at::kByte)), "16385"));
  EXPECT_TRUE(has(refused(at::Tensor()), "no tensor"));
}

TEST(Jpeg, GreyColourAndInks) {
  const at::Tensor grey = parse(jpeg(16, 8, JCS_GRAYSCALE, 1));
  ASSERT_EQ(shape_of(grey), (std::vector<std::int64_t>{1, 8, 16}));
  const at::Tensor gradient = at::arange(8).unsqueeze(1) * 8 + at::arange(16).unsqueeze(0);
  EXPECT_LE((grey[0].to(at::kLong) - gradient).abs().max().item<std::int64_t>(), 2);

  const at::Tensor colour = parse(jpeg(16, 8, JCS_RGB, 3));
  ASSERT_EQ(shape_of(colour), (std::vector<std::int64_t>{3, 8, 16}));
  const at::Tensor red = at::arange(8).unsqueeze(1) * 8 + at::arange(16).unsqueeze(0) * 3;
  EXPECT_LE((colour[0].to(at::kLong) - red).abs().max().item<std::int64_t>(), 6);
  EXPECT_TRUE(at::equal(colour, parse(jpeg(16, 8, JCS_RGB, 3, true))));

  // Inks in Adobe's way, 255 for none: red is cyan's light times black's.
  const at::Tensor inks = parse(jpeg(16, 8, JCS_CMYK, 4));
  ASSERT_EQ(shape_of(inks), (std::vector<std::int64_t>{3, 8, 16}));
  const at::Tensor cyan = at::arange(8).unsqueeze(1) * 8 + at::arange(16).unsqueeze(0) * 4;
  const at::Tensor light = cyan * (cyan + 3) / 255.0;
  EXPECT_LE((inks[0] - light).abs().max().item<double>(), 6);
}

TEST(Jpeg, EveryTruncationIsRefused) {
  for (const bool progressive : {false, true}) {
    const std::string bytes = jpeg(40, 24, JCS_RGB, 3, progressive);
    parse(bytes);
    for (std::size_t length = 0; length < bytes.size(); ++length) refusal(bytes.substr(0, length));
  }
}

TEST(Jpeg, SizesAreCheckedBeforeAnythingIsAllocated) {
  std::string bytes = jpeg(8, 8, JCS_GRAYSCALE, 1);
  const std::size_t frame = bytes.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  const auto sized = [&](std::uint32_t width, std::uint32_t height) {
    return bytes.replace(frame + 5, 4, big_32((height << 16) | width));
  };
  EXPECT_TRUE(has(refusal(sized(16'385, 1)), "16385 x 1 pixels"));
  EXPECT_TRUE(has(refusal(sized(10'001, 10'000)), "100 million"));
  EXPECT_TRUE(has(refusal(sized(10'000, 10'000)), "as many pixels as the file can hold"));
  EXPECT_TRUE(has(refusal(sized(8, 0)), "photo"));
  EXPECT_TRUE(has(refusal(sized(8, 16)), "photo"));  // data for 8 rows only
}

TEST(Picture, OtherFilesAreRefused) {
  EXPECT_TRUE(has(refusal(""), "an empty file"));
  EXPECT_TRUE(has(refusal("GIF89a"), "convert it to PNG"));
  EXPECT_TRUE(has(error_of([] { read_picture("/none.png"); }), "No such file"));
}

TEST(Picture, Names) {
  for (const char* name : {"a.png", "a.JPG", "b/a.jpeg"}) EXPECT_TRUE(is_picture_name(name));
  for (const char* name : {"a.gif", "png", ".png", "a.png.txt", ""}) {
    EXPECT_FALSE(is_picture_name(name)) << name;
  }
}

}  // namespace
}  // namespace calor::io
