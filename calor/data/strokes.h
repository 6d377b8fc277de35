// Drawings as laws of points: a drawing is a list of straight strokes with tapering width, and a
// point lies anywhere along a stroke and, jittered, across it. The density is known exactly.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "calor/data/point_law.h"

namespace calor::data {

struct Stroke {
  Vec2 start{}, end{};
  double start_width = 0, end_width = 0;  // half the width, at either end
  double mass = 0;                        // relative to the other strokes'
};

// A smooth curve with a width, both for t in [0, 1].
struct Curve {
  std::function<Vec2(double)> at;
  std::function<double(double)> half_width;
};

// Appends the curve as `pieces` chords, each with the mass `weight` x its length.
void add_curve(std::vector<Stroke>& strokes, const Curve& curve, int pieces, double weight);

// Scales and moves the drawing, widths included, so that it fills the square of side 2 x `half`
// around the origin in its larger direction and is centred in the other.
void fit_to_square(std::vector<Stroke>& strokes, double half);

class StrokeLaw final : public PointLaw {
 public:
  // The strokes lie within the box [-4, 4]^2.
  explicit StrokeLaw(std::vector<Stroke> strokes);

  DrawnPoint draw(const PointRandom& random) const override;
  double log_density(const Vec2& position) const override;

  const std::vector<Stroke>& strokes() const { return strokes_; }

 private:
  void index();

  std::vector<Stroke> strokes_;
  std::vector<double> cumulative_;                // of the masses, up to 1
  std::vector<std::vector<std::size_t>> nearby_;  // per cell of a grid: the strokes that reach it
};

}  // namespace calor::data
