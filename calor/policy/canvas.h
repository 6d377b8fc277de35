// A small rasteriser: filled polygons, discs and lines on a square picture, with the conventions of
// the drawing library (pygame 2.1) and of the reduction (OpenCV's bilinear resize) that the
// published pictures of environments were made with, since policies are sensitive to both.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "calor/policy/polygon.h"

namespace calor::policy {

using Colour = std::array<std::uint8_t, 3>;

// Column and row, from the upper left corner. Whatever lies outside of the picture is cut off.
struct Pixel {
  std::int64_t x = 0, y = 0;
};

// The nearest pixel, halves to even; coordinates beyond +-1e5 are taken for that.
Pixel nearest_pixel(const Vec2& point);

class Canvas {
 public:
  Canvas(std::int64_t side, const Colour& background);

  // Convex or not; both ends of each row that the edges cross are inside.
  void fill_polygon(std::span<const Pixel> corners, const Colour& colour);
  // The pixels of `radius` rows on either side of the upper left corner of the pixel `centre`.
  void fill_disc(const Pixel& centre, std::int64_t radius, const Colour& colour);
  // An even number of pixels wide, across the direction in which the line is shorter.
  void thick_line(const Pixel& start, const Pixel& end, std::int64_t width, const Colour& colour);
  // A rectangle of `width` around the line, and discs at its ends.
  void rounded_line(const Vec2& start, const Vec2& end, double radius, const Colour& colour);
  // One pixel wide, its colour shared between the two pixels that it runs through.
  void smooth_line(const Pixel& start, const Pixel& end, const Colour& colour);
  // A cross with arms of size / 2 pixels, `width` wide.
  void cross(const Pixel& centre, std::int64_t size, std::int64_t width, const Colour& colour);

  // Each pixel from the 2 x 2 around its centre, without smoothing. 1 <= side <= that of the
  // canvas.
  Canvas reduced(std::int64_t side) const;

  Colour at(const Pixel& pixel) const;
  // uint8 [3, side, side].
  at::Tensor picture() const;

 private:
  std::uint8_t* pixel(std::int64_t x, std::int64_t y);
  void set(std::int64_t x, std::int64_t y, const Colour& colour);
  void blend(std::int64_t x, std::int64_t y, double share, const Colour& colour);
  void fill_row(std::int64_t y, std::int64_t first, std::int64_t last, const Colour& colour);

  std::int64_t side_ = 0;
  std::vector<std::uint8_t> rgb_;  // row by row, three bytes a pixel
};

}  // namespace calor::policy
