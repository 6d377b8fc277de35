#include "calor/policy/canvas.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace calor::policy {
namespace {

std::int64_t nearest(double v) {
  constexpr double far = 1e5;
  return std::llrint(std::clamp(v, -far, far));
}

// Where an edge that is not level crosses row y, rounded towards its upper end.
std::int64_t crossing(const Pixel& upper, const Pixel& lower, std::int64_t y) {
  return upper.x + (y - upper.y) * (lower.x - upper.x) / (lower.y - upper.y);
}

// The columns at which the polygon's edges cross row y, in order. An edge owns its upper end but
// not its lower one, save on the polygon's last row.
std::vector<std::int64_t> crossings(std::span<const Pixel> corners, std::int64_t y,
                                    std::int64_t last_row) {
  std::vector<std::int64_t> columns;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    Pixel upper = corners[i];
    Pixel lower = corners[(i + 1) % corners.size()];
    if (upper.y == lower.y) continue;
    if (upper.y > lower.y) std::swap(upper, lower);
    const bool crosses = y >= upper.y && y < lower.y;
    if (crosses || (y == last_row && lower.y == last_row)) {
      columns.push_back(crossing(upper, lower, y));
    }
  }
  std::ranges::sort(columns);
  return columns;
}

// The pixels of a line by Bresenham's error, which may step in both directions at once.
template <class Visit>
void walk(Pixel at, const Pixel& end, const Visit& visit) {
  const std::int64_t dx = std::abs(end.x - at.x), dy = std::abs(end.y - at.y);
  const std::int64_t step_x = at.x < end.x ? 1 : -1, step_y = at.y < end.y ? 1 : -1;
  std::int64_t error = (dx > dy ? dx : -dy) / 2;
  for (std::int64_t steps = std::max(dx, dy); steps >= 0; --steps) {
    visit(at);
    const std::int64_t before = error;
    if (before > -dx) {
      error -= dy;
      at.x += step_x;
    }
    if (before < dy) {
      error += dx;
      at.y += step_y;
    }
  }
}

// The two pixels that a reduced pixel lies between, along one axis, and their weights of sum 2048.
struct Taps {
  std::int64_t first = 0;
  std::array<std::int64_t, 2> weight{};
};

std::vector<Taps> taps_of(std::int64_t from, std::int64_t to) {
  constexpr float unit = 2048;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  std::vector<Taps> taps;
  for (std::int64_t i = 0; i < to; ++i) {
    const auto centre = static_cast<float>((static_cast<double>(i) + 0.5) * scale - 0.5);
    const float first = std::floor(centre);
    const float share = centre - first;
    taps.push_back({.first = static_cast<std::int64_t>(first),
                    .weight = {std::lrint((1 - share) * unit), std::lrint(share * unit)}});
  }
  return taps;
}

}  // namespace

Pixel nearest_pixel(const Vec2& point) { return {.x = nearest(point[0]), .y = nearest(point[1])}; }

Canvas::Canvas(std::int64_t side, const Colour& background)
    : side_(side), rgb_(static_cast<std::size_t>(3 * side * side)) {
  for (std::int64_t y = 0; y < side; ++y) fill_row(y, 0, side - 1, background);
}

std::uint8_t* Canvas::pixel(std::int64_t x, std::int64_t y) {
  return &rgb_[static_cast<std::size_t>(3 * (y * side_ + x))];
}

void Canvas::set(std::int64_t x, std::int64_t y, const Colour& colour) {
  if (x < 0 || x >= side_ || y < 0 || y >= side_) return;
  std::ranges::copy(colour, pixel(x, y));
}

void Canvas::blend(std::int64_t x, std::int64_t y, double share, const Colour& colour) {
  if (x < 0 || x >= side_ || y < 0 || y >= side_) return;
  std::uint8_t* rgb = pixel(x, y);
  for (std::size_t c = 0; c < 3; ++c) {
    rgb[c] = static_cast<std::uint8_t>(share * colour[c] + (1 - share) * rgb[c]);
  }
}

void Canvas::fill_row(std::int64_t y, std::int64_t first, std::int64_t last, const Colour& colour) {
  if (y < 0 || y >= side_) return;
  first = std::max<std::int64_t>(first, 0);
  last = std::min(last, side_ - 1);
  for (std::int64_t x = first; x <= last; ++x) std::ranges::copy(colour, pixel(x, y));
}

void Canvas::fill_polygon(std::span<const Pixel> corners, const Colour& colour) {
  const auto [top, bottom] =
      std::ranges::minmax_element(corners, {}, [](const Pixel& p) { return p.y; });
  const std::int64_t first = top->y, last = bottom->y;
  for (std::int64_t y = std::max<std::int64_t>(first, 0); y <= std::min(last, side_ - 1); ++y) {
    const std::vector<std::int64_t> columns = crossings(corners, y, last);
    for (std::size_t i = 0; i + 1 < columns.size(); i += 2) {
      fill_row(y, columns[i], columns[i + 1], colour);
    }
  }
  // Level edges, of which the crossings know nothing.
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Pixel& a = corners[i];
    const Pixel& b = corners[(i + 1) % corners.size()];
    if (a.y == b.y) fill_row(a.y, std::min(a.x, b.x), std::max(a.x, b.x), colour);
  }
}

// With i and j counted from 1 in each quarter, a pixel is inside if small^2 + large (large - 1) <
// radius^2, where small and large are the lesser and the greater of i and j: what the midpoint
// algorithm draws.
void Canvas::fill_disc(const Pixel& centre, std::int64_t radius, const Colour& colour) {
  for (std::int64_t j = 1; j <= radius; ++j) {
    std::int64_t half = 0;
    for (std::int64_t i = 1; i <= radius; ++i) {
      const std::int64_t small = std::min(i, j), large = std::max(i, j);
      if (small * small + large * (large - 1) < radius * radius) half = i;
    }
    if (half == 0) continue;
    fill_row(centre.y + j - 1, centre.x - half, centre.x + half - 1, colour);
    fill_row(centre.y - j, centre.x - half, centre.x + half - 1, colour);
  }
}

void Canvas::thick_line(const Pixel& start, const Pixel& end, std::int64_t width,
                        const Colour& colour) {
  const std::int64_t half = width / 2;
  const bool steep = std::abs(start.x - end.x) <= std::abs(start.y - end.y);
  walk(start, end, [&](const Pixel& at) {
    if (steep) {
      fill_row(at.y, at.x - half + 1, at.x + half, colour);
    } else {
      for (std::int64_t y = at.y - half + 1; y <= at.y + half; ++y) set(at.x, y, colour);
    }
  });
}

void Canvas::rounded_line(const Vec2& start, const Vec2& end, double radius, const Colour& colour) {
  const Pixel a = nearest_pixel(start), b = nearest_pixel(end);
  thick_line(a, b, nearest(2 * radius), colour);
  const auto dx = static_cast<double>(std::abs(b.x - a.x));
  const auto dy = static_cast<double>(std::abs(b.y - a.y));
  if (dx == 0 && dy == 0) return;
  const double scale = radius / std::hypot(dx, dy);
  // Lengths without sign, as in the original: for lines that fall to the right this is no
  // rectangle.
  const std::int64_t across_x = nearest(dy * scale), across_y = nearest(dx * scale);
  const std::array<Pixel, 4> corners{{{a.x - across_x, a.y - across_y},
                                      {a.x + across_x, a.y + across_y},
                                      {b.x + across_x, b.y + across_y},
                                      {b.x - across_x, b.y - across_y}}};
  fill_polygon(corners, colour);
  fill_disc(a, nearest(radius), colour);
  fill_disc(b, nearest(radius), colour);
}

void Canvas::smooth_line(const Pixel& start, const Pixel& end, const Colour& colour) {
  const std::int64_t dx = std::abs(end.x - start.x), dy = std::abs(end.y - start.y);
  const bool steep = dy > dx;
  Pixel from = start, to = end;
  if (steep ? from.y > to.y : from.x > to.x) std::swap(from, to);
  const std::int64_t length = std::max(dx, dy);
  for (std::int64_t i = 0; i <= length; ++i) {
    const double t = length == 0 ? 0 : static_cast<double>(i) / static_cast<double>(length);
    const double across = static_cast<double>(steep ? from.x : from.y) +
                          t * static_cast<double>(steep ? to.x - from.x : to.y - from.y);
    const double low = std::floor(across);
    const auto minor = static_cast<std::int64_t>(low);
    for (std::int64_t side = 0; side < 2; ++side) {
      const double share = side == 0 ? 1 - (across - low) : across - low;
      if (share == 0) continue;
      if (steep) {
        blend(minor + side, from.y + i, share, colour);
      } else {
        blend(from.x + i, minor + side, share, colour);
      }
    }
  }
}

void Canvas::cross(const Pixel& centre, std::int64_t size, std::int64_t width,
                   const Colour& colour) {
  const std::int64_t arm = size / 2;
  const std::int64_t first = -(width / 2);
  for (std::int64_t i = first; i < first + width; ++i) {
    fill_row(centre.y + i, centre.x - arm, centre.x + arm, colour);
    for (std::int64_t y = centre.y - arm; y <= centre.y + arm; ++y) set(centre.x + i, y, colour);
  }
}

Canvas Canvas::reduced(std::int64_t side) const {
  const std::vector<Taps> taps = taps_of(side_, side);
  Canvas out(side, {});
  const auto value = [&](std::int64_t x, std::int64_t y, std::int64_t c) -> std::int64_t {
    return rgb_[static_cast<std::size_t>(3 * (y * side_ + std::min(x, side_ - 1)) + c)];
  };
  // In whole numbers of 1/2048 along each axis, cut off after rows and after columns as there.
  for (std::int64_t y = 0; y < side; ++y) {
    const Taps& row = taps[static_cast<std::size_t>(y)];
    for (std::int64_t x = 0; x < side; ++x) {
      const Taps& column = taps[static_cast<std::size_t>(x)];
      for (std::int64_t c = 0; c < 3; ++c) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < 2; ++i) {
          const std::int64_t from = std::min(row.first + i, side_ - 1);
          const std::int64_t across = column.weight[0] * value(column.first, from, c) +
                                      column.weight[1] * value(column.first + 1, from, c);
          sum += (row.weight[static_cast<std::size_t>(i)] * (across >> 4)) >> 16;
        }
        out.pixel(x, y)[c] = static_cast<std::uint8_t>((sum + 2) >> 2);
      }
    }
  }
  return out;
}

Colour Canvas::at(const Pixel& pixel) const {
  const auto first = static_cast<std::size_t>(3 * (pixel.y * side_ + pixel.x));
  return {rgb_.at(first), rgb_.at(first + 1), rgb_.at(first + 2)};
}

at::Tensor Canvas::picture() const {
  at::Tensor rows = at::empty({side_, side_, 3}, at::kByte);
  std::ranges::copy(rgb_, rows.data_ptr<std::uint8_t>());
  return rows.permute({2, 0, 1}).contiguous();
}

}  // namespace calor::policy
