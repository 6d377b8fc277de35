#include "calor/report/density_plot.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <numbers>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/data/point_sets.h"
#include "calor/io/picture.h"
#include "calor/report/colour_map.h"
#include "calor/report/titles.h"

namespace calor::report {
namespace {

RandomKey test_key(std::uint64_t which) { return random_key(which, RandomUse::test); }

Colour pixel(const at::Tensor& picture, std::int64_t row, std::int64_t column) {
  Colour colour{};
  for (std::int64_t c = 0; c < 3; ++c) {
    colour[static_cast<std::size_t>(c)] = picture[c][row][column].item<std::uint8_t>();
  }
  return colour;
}

std::array<double, 3> linear(const Colour& colour) {
  std::array<double, 3> rgb{};
  for (std::size_t i = 0; i < 3; ++i) {
    const double value = colour[i] / 255.0;
    rgb[i] = value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
  }
  return rgb;
}

// CIE L*, 0 to 100.
double lightness(const Colour& colour) {
  const auto rgb = linear(colour);
  const double y = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
  return y <= 216.0 / 24389 ? y * 24389 / 27 : 116 * std::cbrt(y) - 16;
}

// Oklab of an sRGB colour: the other direction of the map's formula.
std::array<double, 3> oklab(const Colour& colour) {
  const auto rgb = linear(colour);
  const auto root = [&](double r, double g, double b) {
    return std::cbrt(r * rgb[0] + g * rgb[1] + b * rgb[2]);
  };
  const double l = root(0.4122214708, 0.5363325363, 0.0514459929);
  const double m = root(0.2119034982, 0.6806995451, 0.1073969566);
  const double s = root(0.0883024619, 0.2817188376, 0.6299787005);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

TEST(ColourMap, GrowsLighterFromEndToEnd) {
  EXPECT_LT(lightness(colour_of(0)), 3);
  EXPECT_GT(lightness(colour_of(1)), 95);
  EXPECT_EQ(colour_of(-1), colour_of(0));
  EXPECT_EQ(colour_of(2), colour_of(1));
  for (int i = 1; i < 256; ++i) {
    EXPECT_GT(lightness(colour_of(i / 255.0)), lightness(colour_of((i - 1) / 255.0))) << i;
  }
}

// Steps of 1/16 look equally large (Euclidean in Oklab) to within 30 %, and the lightness
// is the formula's, so no colour was cut off at the border of sRGB (8 bits give 0.004).
TEST(ColourMap, IsPerceptuallyEven) {
  double least = 1;
  double most = 0;
  for (int i = 0; i <= 16; ++i) {
    const auto here = oklab(colour_of(i / 16.0));
    EXPECT_NEAR(here[0], 0.12 + 0.86 * i / 16.0, 0.006) << i;
    if (i == 0) continue;
    const auto before = oklab(colour_of((i - 1) / 16.0));
    const double step = std::hypot(here[0] - before[0], here[1] - before[1], here[2] - before[2]);
    least = std::min(least, step);
    most = std::max(most, step);
  }
  EXPECT_LT(most / least, 1.3) << least << " to " << most;
}

TEST(DensityPlot, GridsAreRowsFromTheTop) {
  const at::Tensor grid = plot_grid(4, 4);
  EXPECT_TRUE(at::equal(grid[0], at::tensor({-3.0, 3.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(grid[1], at::tensor({-1.0, 3.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(grid[15], at::tensor({3.0, -3.0}, at::kDouble)));
}

// The midpoint rule is spectrally accurate for a Gaussian well inside the box.
TEST(DensityPlot, IntegratesAGaussian) {
  const at::Tensor grid = plot_grid(4, 64);
  const double s = 0.4;
  const at::Tensor values =
      -(grid - 0.3).square().sum(1) / (2 * s * s) - std::log(2 * std::numbers::pi * s * s);
  EXPECT_NEAR(integrate_grid(values, 4, 64), 1, 1e-12);
  EXPECT_NEAR(integrate_grid(values + std::log(3.0), 4, 64), 3, 1e-12);
}

TEST(DensityPlot, TopRightIsTopRight) {
  const at::Tensor grid = plot_grid(4, 32);
  const at::Tensor centre = at::tensor({3.0, 2.5}, at::kDouble);
  const at::Tensor values = -(grid - centre).square().sum(1) * 10;
  const at::Tensor density = density_picture(values.reshape({32, 32}), {.quantile = 1});
  const at::Tensor points = centre.expand({5, 2});
  const at::Tensor scatter = scatter_picture(points, 4, 32, {.quantile = 1});
  for (const at::Tensor& picture : {density, scatter}) {
    EXPECT_EQ(picture.sizes(), (std::vector<std::int64_t>{3, 32, 32}));
    EXPECT_EQ(picture.scalar_type(), at::kByte);
    const auto brightest = picture.to(at::kLong).sum(0).argmax().item<std::int64_t>();
    EXPECT_NEAR(static_cast<double>(brightest / 32), (4 - 2.5) * 4 - 0.5, 0.5 + 1e-9);
    EXPECT_NEAR(static_cast<double>(brightest % 32), (3.0 + 4) * 4 - 0.5, 0.5 + 1e-9);
    EXPECT_EQ(pixel(picture, 31, 0), colour_of(0));
  }
}

TEST(DensityPlot, ScalesAreWhatTheySay) {
  const double top = 0.7;
  const at::Tensor values =
      at::tensor({top, top + std::log(0.25), top + std::log(0.0144), -INFINITY}, at::kDouble)
          .reshape({2, 2});
  const auto colours = [&](DensityScale scale) {
    const at::Tensor picture = density_picture(values, {.scale = scale, .quantile = 1});
    EXPECT_EQ(pixel(picture, 0, 0), colour_of(1));
    EXPECT_EQ(pixel(picture, 1, 1), colour_of(0));
    return std::pair(pixel(picture, 0, 1), pixel(picture, 1, 0));
  };
  const auto step = [](double v) { return colour_of(std::round(v * 255) / 255); };
  EXPECT_EQ(colours(DensityScale::linear), std::pair(step(0.25), step(0.0144)));
  EXPECT_EQ(colours(DensityScale::root), std::pair(step(0.5), step(0.12)));
  EXPECT_EQ(colours(DensityScale::logarithmic),
            std::pair(step(1 - std::log10(4.0) / 4), step(1 + std::log10(0.0144) / 4)));
  // With a brightest colour given, or clipped at a quantile, brighter pixels are cut off.
  EXPECT_EQ(pixel(density_picture(values, {.log_top = top + std::log(2.0)}), 0, 0), step(0.5));
  EXPECT_EQ(pixel(density_picture(values, {.quantile = 0.75}), 0, 1), colour_of(1));
  EXPECT_DOUBLE_EQ(log_top_of(values, 0.75), top + std::log(0.25));
}

TEST(DensityPlot, EmptyDensitiesAreDark) {
  const at::Tensor nothing = at::full({4, 4}, -INFINITY, at::kDouble);
  EXPECT_EQ(pixel(density_picture(nothing), 2, 2), colour_of(0));
  at::Tensor one = nothing.clone();
  one[1][2] = 3.0;  // fewer pixels than the quantile leaves: the largest counts
  EXPECT_EQ(pixel(density_picture(one, {.quantile = 0.5}), 1, 2), colour_of(1));
}

// The estimate holds all the mass in the box, and away from it what the law says: of 400,000 points
// of a checkerboard, the density within a square is 1/32. A pixel of 1/4 x 1/4 gathers 781 points,
// over a window that makes them about 2,600, so one deviation is at most 2.0 %; the mean over the
// 16 inner pixels of the eight squares deviates by less than 0.5 %.
TEST(DensityPlot, ScatterEstimatesTheDensity) {
  const at::Tensor points = data::draw_points("checkerboard", 400'000, test_key(1));
  const at::Tensor estimate = scatter_log_density(points, 4, 32).exp();
  const at::Tensor blocks = estimate.reshape({4, 8, 4, 8}).permute({0, 2, 1, 3});
  const at::Tensor inner = blocks.narrow(2, 2, 4).narrow(3, 2, 4);
  EXPECT_LT((inner[0][1] * 32 - 1).abs().max().item<double>(), 0.1);
  EXPECT_NEAR(inner[2][3].mean().item<double>() * 32, 1, 0.025);
  EXPECT_EQ(inner[0][0].max().item<double>(), 0);
  const at::Tensor middle = at::zeros({10, 2});
  EXPECT_NEAR(integrate_grid(scatter_log_density(middle, 4, 32), 4, 32), 1, 1e-12);
  const at::Tensor half = at::cat({middle, middle + 7});  // half of the points lie outside
  EXPECT_NEAR(integrate_grid(scatter_log_density(half, 4, 32), 4, 32), 0.5, 1e-12);
}

TEST(DensityPlot, AveragesDensities) {
  const at::Tensor values = at::tensor({1.0, 3.0, 0.0, 4.0}, at::kDouble).log().reshape({2, 2});
  EXPECT_NEAR(averaged_log_density(values, 2).item<double>(), std::log(2.0), 1e-15);
  EXPECT_THROW(averaged_log_density(at::zeros({4, 3}), 2), Error);
}

TEST(DensityPlot, PanelsStandSideBySide) {
  const at::Tensor left = at::full({1, 30, 40}, 10, at::kByte);
  const at::Tensor right = at::full({3, 30, 20}, 200, at::kByte);
  const at::Tensor row = side_by_side({left, right}, 5);
  EXPECT_EQ(row.sizes(), (std::vector<std::int64_t>{3, 40, 75}));
  EXPECT_EQ(pixel(row, 5, 5), (Colour{10, 10, 10}));
  EXPECT_EQ(pixel(row, 5, 45), (Colour{255, 255, 255}));
  EXPECT_EQ(pixel(row, 34, 69), (Colour{200, 200, 200}));
  EXPECT_EQ(pixel(row, 35, 69), (Colour{255, 255, 255}));
}

TEST(DensityPlot, TitlesAreLetters) {
  const at::Tensor letter = text_picture("L", 1).gt(0).to(at::kLong);
  const at::Tensor expected = at::zeros({8, 6}, at::kLong);
  expected.narrow(0, 0, 7).select(1, 0).fill_(1);
  expected[6].narrow(0, 0, 5).fill_(1);
  EXPECT_TRUE(at::equal(letter, expected));
  EXPECT_EQ(text_picture("data 1", 2).sizes(), (std::vector<std::int64_t>{16, 72}));
  EXPECT_EQ(text_picture(" ", 1).max().item<int>(), 0);
  EXPECT_TRUE(at::equal(text_picture("\u00e9", 1), text_picture("\x01", 1)));  // one box
  // All printable ASCII letters and digits differ.
  std::string all;
  for (char c = '0'; c <= 'z'; ++c) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) all.push_back(c);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(at::equal(text_picture({all[i]}, 1), text_picture({all[j]}, 1)))
          << all[i] << all[j];
    }
  }
}

TEST(DensityPlot, TitlesStandAbovePanels) {
  const at::Tensor panel = at::full({3, 50, 60}, 7, at::kByte);
  const at::Tensor titled = with_title(panel, "data");
  EXPECT_EQ(titled.sizes(), (std::vector<std::int64_t>{3, 62, 60}));
  EXPECT_TRUE(at::equal(titled.narrow(1, 12, 50), panel));
  EXPECT_EQ(titled.narrow(1, 0, 12).min().item<int>(), 0);
  // A title wider than the panel is cut, not an error.
  EXPECT_EQ(with_title(panel, std::string(100, 'x')).size(2), 60);
  EXPECT_EQ(with_title(panel, "").narrow(1, 0, 12).min().item<int>(), 255);
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(DensityPlot, EqualInputGivesEqualFiles) {
  const auto folder = std::filesystem::path(testing::TempDir());
  std::vector<std::string> files;
  for (const char* name : {"density_plot_1.png", "density_plot_2.png"}) {
    const at::Tensor points = data::draw_points("rose", 20'000, test_key(2));
    const at::Tensor values = data::point_log_density("rose", plot_grid(4, 128));
    io::write_png(folder / name,
                  side_by_side({with_title(density_picture(values.reshape({128, 128})), "density"),
                                with_title(scatter_picture(points, 4, 128), "samples")}));
    files.push_back(bytes_of(folder / name));
    std::filesystem::remove(folder / name);
  }
  EXPECT_GT(files[0].size(), 1000U);
  EXPECT_EQ(files[0], files[1]);
}

TEST(DensityPlot, SaysWhatIsWrong) {
  const at::Tensor good = at::zeros({4, 4}, at::kDouble);
  at::Tensor bad = good.clone();
  bad[2][1] = NAN;
  bad[0][0] = INFINITY;
  try {
    density_picture(bad);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.found().find("2 of 16"), std::string::npos) << error.found();
  }
  EXPECT_THROW(integrate_grid(bad, 4, 4), Error);
  EXPECT_THROW(integrate_grid(good, 4, 5), Error);
  EXPECT_THROW(density_picture(good.flatten()), Error);
  EXPECT_THROW(density_picture(good, {.quantile = 0}), Error);
  EXPECT_THROW(density_picture(good, {.decades = 0}), Error);
  EXPECT_THROW(density_picture(good, {.log_top = NAN}), Error);
  EXPECT_THROW(density_picture(good.to(at::kLong)), Error);
  EXPECT_THROW(density_picture(at::Tensor()), Error);
  EXPECT_THROW(plot_grid(0, 4), Error);
  EXPECT_THROW(plot_grid(4, 0), Error);
  EXPECT_THROW(scatter_picture(at::full({2, 2}, NAN), 4, 8), Error);
  EXPECT_THROW(scatter_picture(at::zeros({0, 2}), 4, 8), Error);
  EXPECT_THROW(scatter_picture(at::zeros({2, 3}), 4, 8), Error);
  EXPECT_THROW(side_by_side({}), Error);
  EXPECT_THROW(side_by_side({at::zeros({3, 4, 4}, at::kByte), at::zeros({3, 5, 4}, at::kByte)}),
               Error);
  EXPECT_THROW(with_title(at::zeros({3, 4, 4}), "title"), Error);
}

}  // namespace
}  // namespace calor::report
