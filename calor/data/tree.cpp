// The tree: a trunk that splits again and again into bending branches, each thinner and shorter
// than the one it grows from. Our own drawing.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/core/random.h"
#include "calor/data/strokes.h"

namespace calor::data {
namespace {

constexpr int generations = 9;

struct Branch {
  Vec2 foot{};
  double heading = 0;  // radians, counter-clockwise from the right
  double length = 0;
  double width = 0;  // half the width at the foot
  int generation = 0;
  RandomKey key{};
};

// Leonardo's rule: the branches of a fork have together the cross-section of what they grow from.
const double fork = std::sqrt(0.5);

Vec2 step(const Vec2& from, double heading, double length) {
  return {from[0] + length * std::cos(heading), from[1] + length * std::sin(heading)};
}

// A branch bends evenly by `bend` and tapers to the width of its children; then it forks.
void grow(std::vector<Stroke>& strokes, const Branch& branch) {
  std::array<double, 8> u{};
  fill_uniform(branch.key, u);
  const double upright = std::numbers::pi / 2 - branch.heading;
  const double bend = 0.5 * (u[0] - 0.5) + 0.12 * upright;
  const int pieces = std::max(2, 40 / (1 + branch.generation));
  const auto at = [&](double t) {  // a circular arc, by its chord
    const double turned = branch.heading + bend * t / 2;
    const double half = bend * t / 2;
    const double chord = std::abs(half) < 1e-6 ? 1 : std::sin(half) / half;
    return step(branch.foot, turned, branch.length * t * chord);
  };
  const bool trunk = branch.generation == 0;
  const auto half_width = [&](double t) {
    const double flare = trunk ? 0.9 * std::exp(-t * 9) : 0;  // where the roots begin
    return branch.width * (1 + flare + t * (fork - 1));
  };
  add_curve(strokes, {.at = at, .half_width = half_width}, pieces, std::pow(branch.width, 0.9));
  if (branch.generation == generations) return;
  const auto child = [&](double t, double turn, double shrink, std::uint64_t which) {
    grow(strokes, {.foot = at(t),
                   .heading = branch.heading + bend * t + turn,
                   .length = branch.length * shrink,
                   .width = half_width(t) * (t < 1 ? fork : 1),
                   .generation = branch.generation + 1,
                   .key = branch.key.child(which)});
  };
  child(1, 0.25 + 0.35 * u[1], 0.72 + 0.14 * u[2], 1);
  child(1, -0.25 - 0.35 * u[3], 0.72 + 0.14 * u[4], 2);
  // Now and then a third branch leaves the side.
  if (branch.generation > 0 && branch.generation < 7 && u[5] < 0.45) {
    child(0.45 + 0.3 * u[6], u[7] < 0.5 ? 0.8 : -0.8, 0.6, 3);
  }
}

}  // namespace

std::unique_ptr<PointLaw> tree_law() {
  std::vector<Stroke> strokes;
  grow(strokes, {.foot = {0, 0},
                 .heading = std::numbers::pi / 2,
                 .length = 1.9,
                 .width = 0.17,
                 .generation = 0,
                 .key = {20}});
  fit_to_square(strokes, 3.9);
  return std::make_unique<StrokeLaw>(std::move(strokes));
}

}  // namespace calor::data
