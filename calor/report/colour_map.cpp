#include "calor/report/colour_map.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace calor::report {
namespace {

constexpr double pi = std::numbers::pi;

// Oklab to linear sRGB (Ottosson, "A perceptual color space for image processing", 2020).
std::array<double, 3> linear_rgb(double lightness, double a, double b) {
  const auto cube = [](double x) { return x * x * x; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

// The transfer function of sRGB (IEC 61966-2-1), to 8 bits.
std::uint8_t encoded(double linear) {
  const double x = std::clamp(linear, 0.0, 1.0);
  const double value = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * value));
}

}  // namespace

// In Oklab, lightness rises evenly while the hue turns from indigo over red to yellow; the chroma
// rises and falls so that every colour lies within sRGB.
Colour colour_of(double v) {
  const double x = std::clamp(v, 0.0, 1.0);
  const double lightness = 0.12 + 0.86 * x;
  const double hue = (285 + 180 * x) / 180 * pi;
  const double chroma = 0.03 + 0.145 * std::sin(pi * std::pow(x, 0.85));
  Colour colour{};
  const auto rgb = linear_rgb(lightness, chroma * std::cos(hue), chroma * std::sin(hue));
  for (std::size_t i = 0; i < 3; ++i) colour[i] = encoded(rgb[i]);
  return colour;
}

at::Tensor coloured(const at::Tensor& values) {
  static const at::Tensor table = [] {
    at::Tensor colours = at::empty({256, 3}, at::kByte);
    auto* const out = colours.data_ptr<std::uint8_t>();
    for (std::int64_t i = 0; i < 256; ++i) {
      const Colour colour = colour_of(static_cast<double>(i) / 255);
      std::ranges::copy(colour, out + 3 * i);
    }
    return colours;
  }();
  const at::Tensor steps = (values.clamp(0, 1) * 255).round().to(at::kLong);
  return table.index_select(0, steps.flatten())
      .reshape({values.size(0), values.size(1), 3})
      .permute({2, 0, 1})
      .contiguous();
}

}  // namespace calor::report
