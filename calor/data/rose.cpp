// The rose: petals around a spiral heart, the younger ones further in, more closed and over the
// older ones, on a stem with leaves, all of thin lines. Our own drawing.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/data/strokes.h"

namespace calor::data {
namespace {

constexpr double pi = std::numbers::pi;
constexpr Vec2 heart{0, 1.55};
constexpr double flower_radius = 2.3;

// A petal seen from above, in polar coordinates around the heart.
struct Petal {
  double radius = 0;
  double angle = 0;
  double half_angle = 0;

  // The rim at `side` in [-1, 1]: a lip in the middle, a soft wave beside it, the fall at the ends.
  double rim(double side) const {
    const double a = std::abs(side);
    const double lip = 0.05 * std::exp(-40 * a * a) + 0.02 * std::cos(3 * pi * side);
    return radius * (1 - 0.55 * std::pow(a, 6)) * (1 + lip);
  }

  bool covers(const Vec2& point) const {
    const double x = point[0] - heart[0];
    const double y = point[1] - heart[1];
    const double side = std::remainder(std::atan2(y, x) - angle, 2 * pi) / half_angle;
    return std::abs(side) < 1 && std::hypot(x, y) < rim(side) - 0.01;
  }
};

Vec2 polar(double radius, double angle) {
  return {heart[0] + radius * std::cos(angle), heart[1] + radius * std::sin(angle)};
}

// Appends the strokes of `part` that no petal on top of it covers.
void add_visible(std::vector<Stroke>& strokes, const std::vector<Stroke>& part,
                 const std::vector<Petal>& on_top) {
  for (const Stroke& s : part) {
    const Vec2 middle{(s.start[0] + s.end[0]) / 2, (s.start[1] + s.end[1]) / 2};
    const auto covered = [&](const Petal& petal) { return petal.covers(middle); };
    if (std::ranges::none_of(on_top, covered)) strokes.push_back(s);
  }
}

// The rim, and within it fainter lines that follow it, closer together towards the edge.
std::vector<Stroke> petal_lines(const Petal& petal) {
  constexpr int lines = 9;
  std::vector<Stroke> strokes;
  for (int line = 0; line < lines; ++line) {
    const double inward = static_cast<double>(line) / lines;
    const double scale = 1 - 0.45 * std::pow(inward, 1.3);
    const Curve curve{.at =
                          [=](double t) {
                            const double side = 2 * t - 1;
                            return polar(
                                petal.rim(side) * scale,
                                petal.angle + petal.half_angle * side * (1 - 0.1 * inward));
                          },
                      .half_width =
                          [=](double t) {
                            const double a = std::abs(2 * t - 1);
                            return (line == 0 ? 0.028 : 0.013) * (1.1 - 0.6 * a * a);
                          }};
    add_curve(strokes, curve, 60, line == 0 ? 1.0 : 0.34 - 0.22 * inward);
  }
  return strokes;
}

std::vector<Petal> make_petals() {
  constexpr int petals = 22;
  const double golden = pi * (3 - std::sqrt(5.0));
  std::vector<Petal> out;
  for (int i = 0; i < petals; ++i) {
    const double age = (i + 1.0) / petals;
    out.push_back({.radius = flower_radius * (0.1 + 0.9 * std::pow(age, 0.9)),
                   .angle = 0.75 + golden * i,
                   .half_angle = 0.78 + 0.75 * std::pow(1 - age, 1.2)});
  }
  return out;
}

void add_heart(std::vector<Stroke>& strokes) {
  const Curve spiral{.at = [](double t) { return polar(0.02 + 0.3 * t, 0.75 + 3.2 * pi * t); },
                     .half_width = [](double t) { return 0.012 + 0.01 * t; }};
  add_curve(strokes, spiral, 90, 0.9);
}

Vec2 stem_at(double t) {
  return {heart[0] + 0.35 * std::sin(2.6 * t) * t, heart[1] + (-3.9 - heart[1]) * t};
}

// A leaf from `foot` along `heading`: a serrated outline, a midrib and side veins, all bent.
void add_leaf(std::vector<Stroke>& strokes, const Vec2& foot, double heading, double length,
              double bend) {
  const auto at = [=](double along, double across) -> Vec2 {
    const double turned = heading + bend * along;
    const double x = length * along;
    const double y = length * across;
    return {foot[0] + x * std::cos(turned) - y * std::sin(turned),
            foot[1] + x * std::sin(turned) + y * std::cos(turned)};
  };
  const auto edge = [](double t) { return 0.3 * std::sin(pi * std::pow(t, 0.8)); };
  const auto thin = [](double t) { return 0.02 - 0.012 * t; };
  for (const double side : {-1.0, 1.0}) {
    const auto outline = [=](double t) {
      const double tooth = 0.022 * (std::fmod(11 * t, 1.0) - 0.5) * std::sin(pi * t);
      return at(0.12 + 0.88 * t, side * (edge(t) + tooth));
    };
    add_curve(strokes, {.at = outline, .half_width = [](double) { return 0.016; }}, 99, 0.8);
    for (int vein = 1; vein < 8; ++vein) {
      const double from = 0.12 + 0.88 * (vein / 8.5 - 0.04);
      const double to = std::min(0.97, vein / 8.5 + 0.12);
      const auto line = [=](double t) {
        return at(from + (0.12 + 0.88 * to - from) * t, side * edge(to) * 0.93 * t);
      };
      add_curve(strokes, {.at = line, .half_width = thin}, 8, 0.35);
    }
  }
  const auto midrib = [=](double t) { return at(t, 0); };
  add_curve(strokes, {.at = midrib, .half_width = [](double t) { return 0.03 - 0.02 * t; }}, 24, 1);
}

}  // namespace

std::unique_ptr<PointLaw> rose_law() {
  const std::vector<Petal> petals = make_petals();
  std::vector<Stroke> strokes;
  add_heart(strokes);
  for (std::size_t i = 0; i < petals.size(); ++i) {
    add_visible(strokes, petal_lines(petals[i]),
                {petals.begin(), petals.begin() + static_cast<std::ptrdiff_t>(i)});
  }
  std::vector<Stroke> green;
  add_curve(green, {.at = stem_at, .half_width = [](double t) { return 0.045 + 0.02 * t; }}, 80, 2);
  add_leaf(green, stem_at(0.62), 0.55, 2.1, -0.5);
  add_leaf(green, stem_at(0.74), 2.75, 2.0, 0.45);
  add_visible(strokes, green, petals);
  fit_to_square(strokes, 3.9);
  return std::make_unique<StrokeLaw>(std::move(strokes));
}

}  // namespace calor::data
