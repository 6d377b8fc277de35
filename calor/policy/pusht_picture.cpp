#include "calor/policy/pusht_picture.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace calor::policy {
namespace {

constexpr auto window = static_cast<std::int64_t>(pusht_window);
constexpr Colour white{255, 255, 255};
constexpr Colour goal_green{144, 238, 144};
constexpr Colour wall_grey{211, 211, 211};
constexpr Colour agent_blue{65, 105, 225};
constexpr Colour block_grey{119, 136, 153};
constexpr Colour contact_red{231, 76, 60};
constexpr Colour action_red{255, 0, 0};

// The inside of agent and block is lighter than their rim.
Colour lighter(const Colour& colour) {
  Colour out{};
  for (std::size_t c = 0; c < 3; ++c) {
    out[c] = static_cast<std::uint8_t>(std::min(std::lrint(1.2 * colour[c]), 255L));
  }
  return out;
}

std::vector<Pixel> pixels_of(std::span<const Vec2> points) {
  std::vector<Pixel> pixels;
  for (const Vec2& point : points) pixels.push_back(nearest_pixel(point));
  return pixels;
}

// What never changes: the goal on white.
Canvas draw_background() {
  Canvas canvas(window, white);
  for (const auto* part : {&pusht_bar, &pusht_stem}) {
    std::vector<Pixel> corners;
    for (const Vec2& corner : *part) {
      corners.push_back(nearest_pixel(placed(corner, pusht_goal.block, pusht_goal.angle)));
    }
    canvas.fill_polygon(corners, goal_green);
  }
  return canvas;
}

void draw_agent(Canvas& canvas, const PushtShape& shape) {
  constexpr double rim = 4;
  const Pixel centre = nearest_pixel(shape.points[0]);
  canvas.fill_disc(centre, std::llrint(shape.radius), agent_blue);
  canvas.fill_disc(centre, std::llrint(shape.radius - rim), lighter(agent_blue));
}

void draw_block(Canvas& canvas, const PushtShape& shape) {
  constexpr double rim_radius = 2;
  canvas.fill_polygon(pixels_of(shape.points), lighter(block_grey));
  for (std::size_t i = 0; i < shape.points.size(); ++i) {
    canvas.rounded_line(shape.points[i], shape.points[(i + 1) % shape.points.size()], rim_radius,
                        block_grey);
  }
}

}  // namespace

Canvas pusht_canvas(const PushtWorld& world) {
  static const Canvas background = draw_background();
  Canvas canvas = background;
  for (const PushtShape& shape : world.shapes()) {
    switch (shape.kind) {
      case PushtShape::Kind::agent:
        draw_agent(canvas, shape);
        break;
      case PushtShape::Kind::block:
        draw_block(canvas, shape);
        break;
      case PushtShape::Kind::wall:
        canvas.rounded_line(shape.points[0], shape.points[1], shape.radius, wall_grey);
        break;
      case PushtShape::Kind::contact:
        canvas.smooth_line(nearest_pixel(shape.points[0]), nearest_pixel(shape.points[1]),
                           contact_red);
        break;
    }
  }
  return canvas;
}

Canvas pusht_picture(const PushtWorld& world, std::int64_t side,
                     const std::optional<Vec2>& action) {
  Canvas picture = pusht_canvas(world).reduced(side);
  if (!action) return picture;
  // In units of a picture of 96 pixels: a cross of 8, one wide.
  const auto in_pixels = [&](double v) {
    return static_cast<std::int64_t>(std::clamp(v, -2 * pusht_window, 2 * pusht_window) /
                                     pusht_window * static_cast<double>(side));
  };
  picture.cross({.x = in_pixels((*action)[0]), .y = in_pixels((*action)[1])}, 8 * side / 96,
                std::max<std::int64_t>(1, side / 96), action_red);
  return picture;
}

}  // namespace calor::policy
