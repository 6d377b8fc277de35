#include "calor/metric/histogram.h"

#include "calor/core/error.h"
#include "calor/metric/wasserstein.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

at::Tensor random_pictures(std::uint64_t seed, at::IntArrayRef shape) {
  return (normal(seed, shape) * 60 + 120).clamp(0, 255).to(at::kByte);
}

TEST(Histogram, SharesOfEachValue) {
  const at::Tensor pictures = at::tensor({0, 0, 7, 255, 7, 7, 7, 7}, at::kByte).view({2, 1, 2, 2});
  const at::Tensor shares = channel_histograms(pictures);
  EXPECT_EQ(shares.sizes(), at::IntArrayRef({2, 1, 256}));
  EXPECT_EQ(shares[0][0][0].item<double>(), 0.5);
  EXPECT_EQ(shares[0][0][7].item<double>(), 0.25);
  EXPECT_EQ(shares[0][0][255].item<double>(), 0.25);
  EXPECT_EQ(shares[1][0][7].item<double>(), 1);
  EXPECT_EQ(shares.sum().item<double>(), 2);
}

TEST(Histogram, DistanceOfConstantPicturesByChannel) {
  at::Tensor dark = at::full({3, 3, 4, 5}, 10, at::kByte);
  at::Tensor bright = dark.clone();
  bright.select(1, 1).fill_(60);
  bright.select(1, 2).fill_(255);
  const at::Tensor distance =
      histogram_distance(channel_histograms(dark), channel_histograms(bright));
  EXPECT_NEAR(distance[0].item<double>(), 0, 1e-15);
  EXPECT_NEAR(distance[1].item<double>(), 50.0 / 255, 1e-14);
  EXPECT_NEAR(distance[2].item<double>(), 245.0 / 255, 1e-14);
}

// Sorting all values of a channel gives the same; more pictures than are counted at a time.
TEST(Histogram, DistanceIsWasserstein1OfTheValues) {
  const at::Tensor a = random_pictures(1, {520, 3, 3, 4});
  const at::Tensor b = (random_pictures(2, {70, 3, 3, 4}) / 2).to(at::kByte);
  const at::Tensor distance = histogram_distance(channel_histograms(a), channel_histograms(b));
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto values = [&](const at::Tensor& pictures) {
      return pictures.select(1, c).flatten().to(at::kDouble) / 255;
    };
    EXPECT_NEAR(distance[c].item<double>(), wasserstein_1d_power(values(a), values(b), 1), 1e-12);
  }
}

TEST(Histogram, WrongPictures) {
  EXPECT_THROW(channel_histograms(at::zeros({2, 3, 4, 4})), Error);
  EXPECT_THROW(channel_histograms(at::zeros({3, 4, 4}, at::kByte)), Error);
  EXPECT_THROW(channel_histograms(at::zeros({0, 3, 4, 4}, at::kByte)), Error);
}

}  // namespace
}  // namespace calor::metric
