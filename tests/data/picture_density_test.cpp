#include "calor/data/picture_density.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/io/picture.h"
#include "calor/report/density_plot.h"

namespace calor::data {
namespace {

RandomKey test_key(std::uint64_t which) { return random_key(which, RandomUse::test); }

// Two rows of three pixels; with mass where it is light, the masses are 100, 0, 50 and 0, 30, 20.
at::Tensor small_picture() {
  return at::tensor({100, 0, 50, 0, 30, 20}, at::kInt).to(at::kByte).reshape({1, 2, 3});
}

// The box is eight wide, so a pixel is 8/3 and the picture reaches 8/3 up and down.
TEST(PictureDensity, IsConstantOverPixels) {
  const PictureDensity density(small_picture(), false);
  const double pixel = 8.0 / 3;
  const at::Tensor at_pixels = at::tensor({-3.9, 2.6, -1.4, 0.1, 0.0, 1.0, 3.9, 0.1, 0.0, -1.0, 3.9,
                                           -2.6, 0.0, 2.7, 4.1, 1.0},
                                          at::kDouble)
                                   .reshape({8, 2});
  const at::Tensor values = density.log_density(at_pixels);
  const std::vector<double> masses{100, 100, 0, 50, 30, 20, 0, 0};
  for (std::size_t i = 0; i < masses.size(); ++i) {
    const double value = values[static_cast<std::int64_t>(i)].item<double>();
    if (masses[i] == 0) {
      EXPECT_EQ(value, -INFINITY) << i;
    } else {
      EXPECT_NEAR(value, std::log(masses[i] / 200 / (pixel * pixel)), 1e-12) << i;
    }
  }
}

// Counts of the pixels within five deviations of binomials; positions within a pixel are even: mean
// 1/2 within five deviations, and the variance, 1/12, within 5 x sqrt(1/180 n).
TEST(PictureDensity, DrawsPixelsByTheirMass) {
  constexpr std::int64_t n = 60'000;
  const at::Tensor points =
      PictureDensity(small_picture(), false).draw(n, test_key(1)).to(at::kDouble);
  const at::Tensor x = (points.select(1, 0) + 4) * 0.375;
  const at::Tensor y = (8.0 / 3 - points.select(1, 1)) * 0.375;
  const at::Tensor counts =
      at::bincount((y.floor() * 3 + x.floor()).to(at::kLong), {}, 6).to(at::kDouble);
  const std::vector<double> masses{100, 0, 50, 0, 30, 20};
  for (std::size_t i = 0; i < masses.size(); ++i) {
    const double p = masses[i] / 200;
    EXPECT_NEAR(counts[static_cast<std::int64_t>(i)].item<double>() / n, p,
                5 * std::sqrt(p * (1 - p) / n));
  }
  for (const at::Tensor& position : {x, y}) {
    const at::Tensor within = position - position.floor();
    EXPECT_NEAR(within.mean().item<double>(), 0.5, 5 * std::sqrt(1.0 / 12 / n));
    EXPECT_NEAR(within.var().item<double>(), 1.0 / 12, 5 * std::sqrt(1.0 / 180 / n));
  }
  // And independent of each other: one deviation of the covariance is 1/12 / sqrt(n).
  const at::Tensor product = (x - x.floor() - 0.5) * (y - y.floor() - 0.5);
  EXPECT_NEAR(product.mean().item<double>(), 0, 5.0 / 12 / std::sqrt(n));
}

// A white picture with a black top right corner, darkness being mass.
TEST(PictureDensity, DarkMassKeepsItsPlace) {
  at::Tensor picture = at::full({1, 10, 20}, 255, at::kByte);
  picture.narrow(1, 0, 2).narrow(2, 15, 5).fill_(0);
  const at::Tensor points = PictureDensity(picture, true).draw(2000, test_key(2));
  EXPECT_GE(points.select(1, 0).min().item<double>(), 2);
  EXPECT_LT(points.select(1, 0).max().item<double>(), 4);
  EXPECT_GT(points.select(1, 1).min().item<double>(), 1.2 - 1e-6);
  EXPECT_LE(points.select(1, 1).max().item<double>(), 2);
}

// 1,500 pixels a side make the pixels about 20,000 units of single precision wide: of 500,000
// points, many would round to a neighbour, which here is empty.
TEST(PictureDensity, RoundingKeepsPointsInTheirPixels) {
  at::Tensor picture = at::zeros({1, 1500, 1100}, at::kByte);
  picture.slice(1, 0, 1500, 2).slice(2, 1, 1100, 2).fill_(1);
  const PictureDensity density(picture, false);
  const at::Tensor points = density.draw(500'000, test_key(3));
  EXPECT_TRUE(density.log_density(points).isfinite().all().item<bool>());
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(density.draw(5000, test_key(3)), points.narrow(0, 0, 5000)));
  at::set_num_threads(threads);
}

TEST(PictureDensity, IntegratesToOne) {
  std::vector<double> u(64 * 64);
  fill_uniform(test_key(4), u);
  const at::Tensor picture = (at::tensor(u) * 256).floor().to(at::kByte).reshape({1, 64, 64});
  const at::Tensor values = PictureDensity(picture, true).log_density(report::plot_grid(4, 256));
  EXPECT_NEAR(report::integrate_grid(values, 4, 256), 1, 1e-12);
  // And the plot is the picture: the density of each pixel is in proportion to its mass.
  const at::Tensor plotted =
      report::averaged_log_density(values.reshape({256, 256}), 4).exp().reshape({1, 64, 64});
  const at::Tensor mass = 255 - picture.to(at::kDouble);
  EXPECT_LT((plotted - mass / mass.sum() * 64).abs().max().item<double>(), 1e-12);
}

TEST(PictureDensity, ReadsAPicture) {
  const auto path = std::filesystem::path(testing::TempDir()) / "picture_density_test.png";
  io::write_png(path, small_picture());
  const at::Tensor read = read_picture_density(path, false).draw(100, test_key(5));
  EXPECT_TRUE(at::equal(read, PictureDensity(small_picture(), false).draw(100, test_key(5))));
  io::write_png(path, at::full({3, 4, 5}, 255, at::kByte));
  try {
    read_picture_density(path, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.expected().find("not white"), std::string::npos);
    EXPECT_NE(error.found().find(path.string()), std::string::npos);
    EXPECT_FALSE(error.hint().empty());
  }
  std::filesystem::remove(path);
  EXPECT_THROW(PictureDensity(at::zeros({3, 4, 4}, at::kByte), true), Error);
  EXPECT_THROW(PictureDensity(at::zeros({1, 0, 4}, at::kByte), true), Error);
  EXPECT_THROW(PictureDensity(at::zeros({1, 4, 4}), true), Error);
  EXPECT_THROW(PictureDensity(at::zeros({1, 4, 4}, at::kByte), false), Error);
  EXPECT_THROW(PictureDensity(small_picture(), false).draw(-1, test_key(1)), Error);
}

}  // namespace
}  // namespace calor::data
