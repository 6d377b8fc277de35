// Laws made of curves: a point of a curve plus Gaussian noise. The density is an integral along the
// curves, by Gauss-Legendre quadrature on pieces of one deviation: within eight deviations of the
// curves it is exact to eight digits, beyond (where it is below e^-32) to a few in its logarithm.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "calor/data/point_law.h"

namespace calor::data {
namespace {

constexpr double pi = std::numbers::pi;

// A curve traced at even speed in probability by u in (0, 1); its index is the point's label.
struct NoisyCurve {
  double share = 0;   // of the mass; the shares add up to 1
  double length = 0;  // at least the length that one unit of u moves where it moves fastest
  std::function<Vec2(double)> at;
};

// Abscissas and weights of the 8-point Gauss-Legendre rule on (-1, 1); the other half is mirrored.
constexpr std::array<double, 4> abscissas{0.1834346424956498, 0.5255324099163290,
                                          0.7966664774136267, 0.9602898564975363};
constexpr std::array<double, 4> weights{0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                        0.1012285362903763};

class NoisyCurves final : public PointLaw {
 public:
  NoisyCurves(double deviation, std::vector<NoisyCurve> curves)
      : deviation_(deviation), curves_(std::move(curves)) {
    for (const NoisyCurve& curve : curves_) add_nodes(curve);
  }

  DrawnPoint draw(const PointRandom& random) const override {
    std::size_t which = 0;
    double rest = random.uniform[0];
    while (which + 1 < curves_.size() && rest >= curves_[which].share) {
      rest -= curves_[which++].share;
    }
    const Vec2 centre = curves_[which].at(random.uniform[1]);
    return {.position = {centre[0] + deviation_ * random.normal[0],
                         centre[1] + deviation_ * random.normal[1]},
            .label = static_cast<std::int64_t>(which)};
  }

  // log sum_k w_k N(p; c_k, s^2 I). Groups so far off that they change nothing are passed over.
  double log_density(const Vec2& p) const override {
    double nearest = std::numeric_limits<double>::infinity();
    for (const Group& group : groups_) nearest = std::min(nearest, square_distance(p, group.at));
    const double bound = std::sqrt(nearest) + radius_;  // some node is at most that far
    const double far =
        std::sqrt(bound * bound + 2 * negligible * deviation_ * deviation_) + radius_;
    const double scale = 1 / (2 * deviation_ * deviation_);
    double sum = 0;
    double least = std::numeric_limits<double>::infinity();  // of the exponents so far
    for (const Group& group : groups_) {
      if (square_distance(p, group.at) > far * far) continue;
      for (std::size_t i = group.first; i < group.end; ++i) {
        const double exponent = scale * square_distance(p, nodes_[i].at);
        if (exponent < least) {
          sum *= std::exp(exponent - least);
          least = exponent;
        }
        sum += nodes_[i].weight * std::exp(least - exponent);
      }
    }
    return std::log(sum * scale / pi) - least;
  }

 private:
  static constexpr double negligible = 37;  // e^-37 = 9e-17
  static constexpr int pieces_per_group = 4;

  struct Node {
    Vec2 at{};
    double weight = 0;
  };
  // Nodes first to end - 1, all within radius_ of a point.
  struct Group {
    Vec2 at{};
    std::size_t first = 0, end = 0;
  };

  static double square_distance(const Vec2& a, const Vec2& b) {
    const double x = a[0] - b[0];
    const double y = a[1] - b[1];
    return x * x + y * y;
  }

  void add_nodes(const NoisyCurve& curve) {
    const double in_groups = curve.length / (pieces_per_group * deviation_);
    const auto groups = std::max(1, static_cast<int>(std::ceil(in_groups)));
    for (int g = 0; g < groups; ++g) {
      Group group{.at = curve.at((g + 0.5) / groups), .first = nodes_.size(), .end = 0};
      const int first = g * pieces_per_group;
      for (int piece = first; piece < first + pieces_per_group; ++piece) {
        add_piece(curve, piece, groups * pieces_per_group);
      }
      group.end = nodes_.size();
      for (std::size_t i = group.first; i < group.end; ++i) {
        radius_ = std::max(radius_, std::sqrt(square_distance(group.at, nodes_[i].at)));
      }
      groups_.push_back(group);
    }
  }

  void add_piece(const NoisyCurve& curve, int piece, int pieces) {
    for (std::size_t i = 0; i < abscissas.size(); ++i) {
      for (const double side : {-1.0, 1.0}) {
        const double u = (piece + (1 + side * abscissas[i]) / 2) / pieces;
        nodes_.push_back({.at = curve.at(u), .weight = curve.share * weights[i] / 2 / pieces});
      }
    }
  }

  double deviation_;
  std::vector<NoisyCurve> curves_;
  std::vector<Node> nodes_;
  std::vector<Group> groups_;
  double radius_ = 0;  // of the largest group
};

Vec2 polar(double radius, double angle) {
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace

std::unique_ptr<PointLaw> eight_gaussians_law() {
  std::vector<NoisyCurve> centres;
  for (int k = 0; k < 8; ++k) {
    const Vec2 centre = polar(2.6, 2 * pi * k / 8);
    centres.push_back({.share = 0.125, .length = 0, .at = [=](double) { return centre; }});
  }
  return std::make_unique<NoisyCurves>(0.16, std::move(centres));
}

// Circles with shares as their radii, so that all rings are equally dense.
std::unique_ptr<PointLaw> rings_law() {
  std::vector<NoisyCurve> circles;
  for (int k = 1; k <= 4; ++k) {
    const double radius = 0.8 * k;
    circles.push_back({.share = k / 10.0, .length = 2 * pi * radius, .at = [=](double u) {
                         return polar(radius, 2 * pi * u);
                       }});
  }
  return std::make_unique<NoisyCurves>(0.08, std::move(circles));
}

// Two half circles of radius 2 that reach into each other.
std::unique_ptr<PointLaw> two_moons_law() {
  const auto moon = [](double side) {
    return NoisyCurve{.share = 0.5, .length = 2 * pi, .at = [=](double u) -> Vec2 {
                        const Vec2 p = polar(2, pi * u);
                        return {side * (p[0] - 1), side * (p[1] - 0.5)};
                      }};
  };
  return std::make_unique<NoisyCurves>(0.1, std::vector{moon(1), moon(-1)});
}

// Two Archimedean spirals; the angle grows as a square root, so that they are evenly dense.
std::unique_ptr<PointLaw> spirals_law() {
  const auto arm = [](double start) {
    // Fastest at u = 0: dt/du x |d at/dt| = 3.465 x 5.67 = 19.6.
    return NoisyCurve{.share = 0.5, .length = 21, .at = [=](double u) {
                        const double t = std::sqrt(0.02 + 0.98 * u);
                        return polar(3.4 * t, start + 3 * pi * t);
                      }};
  };
  return std::make_unique<NoisyCurves>(0.065, std::vector{arm(0), arm(pi)});
}

}  // namespace calor::data
