#include "calor/data/transform.h"

#include "tests/data/support.h"

namespace calor::data {
namespace {

using testing::error_of;
using testing::has;
using testing::noise;

TEST(Transform, GreyIsLuma) {
  const at::Tensor rgb = at::tensor({255, 0, 0, 9, 0, 255, 0, 9, 0, 0, 255, 9}).to(at::kByte);
  const at::Tensor grey = to_channels(rgb.view({3, 4}).unsqueeze(1), 1);
  EXPECT_TRUE(at::equal(grey.view(-1), at::tensor({76, 150, 29, 9}).to(at::kByte)));
}

TEST(Transform, ColourRepeatsGreyAndComesBack) {
  const at::Tensor grey = noise({1, 3, 4});
  const at::Tensor colour = to_channels(grey, 3);
  EXPECT_TRUE(at::equal(colour, grey.expand({3, 3, 4})));
  EXPECT_TRUE(at::equal(to_channels(colour, 1), grey));
}

TEST(Transform, PadsWithBlackLast) {
  const at::Tensor picture = noise({2, 28, 28}).slice(0, 0, 1);
  const at::Tensor padded = PictureTransform{.channels = 3, .pad = 2}(picture);
  EXPECT_EQ(padded.sizes(), at::IntArrayRef({3, 32, 32}));
  EXPECT_TRUE(at::equal(padded.slice(1, 2, 30).slice(2, 2, 30), picture.expand({3, 28, 28})));
  EXPECT_EQ(padded.sum().item<std::int64_t>(), 3 * picture.sum().item<std::int64_t>());
}

TEST(Transform, AllIsEachOne) {
  const at::Tensor pictures = noise({200, 3, 9, 12});
  const PictureTransform transform{.channels = 1, .size = 6, .pad = 1};
  const at::Tensor all = transform.all(pictures);
  ASSERT_EQ(all.sizes(), at::IntArrayRef({200, 1, 8, 8}));
  for (std::int64_t i = 0; i < 200; ++i) EXPECT_TRUE(at::equal(all[i], transform(pictures[i])));
  EXPECT_TRUE(PictureTransform{}.all(pictures).is_same(pictures));
}

TEST(Transform, NamesBothSizes) {
  const auto error = [](const at::Tensor& a, const at::Tensor& b) {
    return error_of([&] { check_same_shape(a, "a.png", b, "b.png"); });
  };
  const std::string sizes = error(noise({1, 8, 10}), noise({1, 9, 11}));
  EXPECT_TRUE(has(sizes, "a.png is 10 x 8"));
  EXPECT_TRUE(has(sizes, "b.png is 11 x 9"));
  EXPECT_TRUE(has(sizes, "data.size"));
  EXPECT_TRUE(has(error(noise({1, 8, 8}), noise({3, 8, 8})), "data.channels"));
}

}  // namespace
}  // namespace calor::data
