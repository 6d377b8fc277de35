#include "calor/data/strokes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace calor::data {
namespace {

constexpr double box = 4;
constexpr std::size_t cells = 128;  // a side of the grid that finds the strokes near a point

// Points are rounded to single precision, half a unit of which is 2.4e-7 at most in the box: they
// keep this distance from the edges of a stroke, or rounding could leave them without density.
constexpr double rounding_room = 5e-7;

Vec2 along(const Vec2& a, const Vec2& b, double t) {
  return {a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])};
}

double length_of(const Stroke& s) {
  return std::hypot(s.end[0] - s.start[0], s.end[1] - s.start[1]);
}

// The mass is even along the stroke, and across it the parabolic law over the width there.
double density_of(const Stroke& s, const Vec2& position) {
  const double length = length_of(s);
  const Vec2 direction{(s.end[0] - s.start[0]) / length, (s.end[1] - s.start[1]) / length};
  const double x = position[0] - s.start[0];
  const double y = position[1] - s.start[1];
  const double t = (x * direction[0] + y * direction[1]) / length;
  if (t < 0 || t > 1) return 0;
  const double width = s.start_width + t * (s.end_width - s.start_width);
  const double across = y * direction[0] - x * direction[1];
  return s.mass / (length * width) * parabolic_density(across / width);
}

std::size_t cell_of(double coordinate) {
  const double cell = (coordinate + box) / (2 * box) * static_cast<double>(cells);
  return static_cast<std::size_t>(std::clamp(cell, 0.0, static_cast<double>(cells - 1)));
}

// The smallest and largest coordinates that the stroke reaches.
std::array<Vec2, 2> reach_of(const Stroke& s) {
  const double width = std::max(s.start_width, s.end_width);
  return {Vec2{std::min(s.start[0], s.end[0]) - width, std::min(s.start[1], s.end[1]) - width},
          Vec2{std::max(s.start[0], s.end[0]) + width, std::max(s.start[1], s.end[1]) + width}};
}

}  // namespace

void add_curve(std::vector<Stroke>& strokes, const Curve& curve, int pieces, double weight) {
  for (int i = 0; i < pieces; ++i) {
    const double t0 = static_cast<double>(i) / pieces;
    const double t1 = static_cast<double>(i + 1) / pieces;
    Stroke stroke{.start = curve.at(t0),
                  .end = curve.at(t1),
                  .start_width = curve.half_width(t0),
                  .end_width = curve.half_width(t1),
                  .mass = 0};
    stroke.mass = weight * length_of(stroke);
    strokes.push_back(stroke);
  }
}

void fit_to_square(std::vector<Stroke>& strokes, double half) {
  Vec2 low{1e9, 1e9};
  Vec2 high{-1e9, -1e9};
  for (const Stroke& s : strokes) {
    const auto reach = reach_of(s);
    for (std::size_t axis = 0; axis < 2; ++axis) {
      low[axis] = std::min(low[axis], reach[0][axis]);
      high[axis] = std::max(high[axis], reach[1][axis]);
    }
  }
  const double scale = 2 * half / std::max(high[0] - low[0], high[1] - low[1]);
  for (Stroke& s : strokes) {
    for (Vec2* point : {&s.start, &s.end}) {
      for (std::size_t axis = 0; axis < 2; ++axis) {
        (*point)[axis] = scale * ((*point)[axis] - (low[axis] + high[axis]) / 2);
      }
    }
    s.start_width *= scale;
    s.end_width *= scale;
  }
}

StrokeLaw::StrokeLaw(std::vector<Stroke> strokes) : strokes_(std::move(strokes)) {
  // Shorter strokes would have no room for rounding; their neighbours cover them.
  std::erase_if(strokes_, [](const Stroke& s) { return length_of(s) < 1e-4; });
  double total = 0;
  for (const Stroke& s : strokes_) total += s.mass;
  double sum = 0;
  for (Stroke& s : strokes_) {
    s.mass /= total;
    sum += s.mass;
    cumulative_.push_back(sum);
  }
  index();
}

void StrokeLaw::index() {
  nearby_.resize(cells * cells);
  for (std::size_t i = 0; i < strokes_.size(); ++i) {
    const auto [low, high] = reach_of(strokes_[i]);
    for (std::size_t row = cell_of(low[1]); row <= cell_of(high[1]); ++row) {
      for (std::size_t column = cell_of(low[0]); column <= cell_of(high[0]); ++column) {
        nearby_[row * cells + column].push_back(i);
      }
    }
  }
}

DrawnPoint StrokeLaw::draw(const PointRandom& random) const {
  const auto found = std::ranges::upper_bound(cumulative_, random.uniform[0]);
  const auto last = static_cast<std::ptrdiff_t>(strokes_.size()) - 1;
  const Stroke& s =
      strokes_[static_cast<std::size_t>(std::min(std::distance(cumulative_.begin(), found), last))];
  const double length = length_of(s);
  const double room = rounding_room / length;
  const double t = std::clamp(random.uniform[1], room, 1 - room);
  const double width = s.start_width + t * (s.end_width - s.start_width);
  const double across = (width - rounding_room) *
                        parabolic(random.uniform[2], random.uniform[3], random.uniform[4]) / length;
  const Vec2 middle = along(s.start, s.end, t);
  return {.position = {middle[0] - across * (s.end[1] - s.start[1]),
                       middle[1] + across * (s.end[0] - s.start[0])},
          .label = 0};
}

double StrokeLaw::log_density(const Vec2& position) const {
  double density = 0;
  const bool in_box = std::abs(position[0]) <= box && std::abs(position[1]) <= box;
  if (!in_box) return -std::numeric_limits<double>::infinity();
  for (const std::size_t i : nearby_[cell_of(position[1]) * cells + cell_of(position[0])]) {
    density += density_of(strokes_[i], position);
  }
  return std::log(density);
}

}  // namespace calor::data
