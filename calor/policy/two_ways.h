// A point goes round a disc to a goal behind it. Start, disc and goal lie on one axis, so the ways
// to the left and to the right are mirror images and equally good, and their mean runs into the
// disc: a policy that keeps both modes of its demonstrations succeeds, one that averages them does
// not. What is optimal is known in closed form.
//
// The plane is [-1, 1]^2 with y upwards, the disc has the radius 0.35 around the origin, the goal
// is (0, 0.8) and an episode starts at (0, -u), u uniform in [0.7, 0.9). An action is a target: the
// point moves straight towards it, by at most 0.05, and stops where it would enter the disc or
// leave the plane. The reward is 1 - distance left / distance at the start, with the length of the
// shortest way as distance, and 1 at the goal: within 0.05.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "calor/policy/environment.h"

namespace calor::policy {

inline constexpr double two_ways_radius = 0.35;
inline constexpr double two_ways_step = 0.05;
inline constexpr double two_ways_tolerance = 0.05;
inline constexpr Vec2 two_ways_goal{0, 0.8};

enum class Way { left, right };  // x < 0, x > 0

// The length of the shortest way from `position`, outside of the disc or on it, to the goal: the
// straight line or, where the disc of `radius` is in its way, a tangent, an arc and a tangent.
double two_ways_distance(const Vec2& position, double radius = two_ways_radius);

// No policy reaches the goal from `start` in fewer steps.
std::int64_t two_ways_least_steps(const Vec2& start);

// What the expert does at `position`: the tangent on its side of a disc that is larger by 0.02, or
// the goal once it is in sight. At most one step longer than the optimum.
Vec2 two_ways_expert(const Vec2& position, Way way);

// The side on which a path passed the middle of the disc first; none where it did not get there.
std::optional<Way> way_of(std::span<const Vec2> path);

// Observation: "state", the point's x and y.
class TwoWays final : public Environment {
 public:
  TwoWays();

  const Vec2& position() const { return position_; }
  // left or right, as way_of() has it.
  std::string way() const override;

 private:
  void start(std::uint32_t seed) override;
  Outcome advance(std::span<const double> action) override;
  std::vector<double> observation(std::size_t index) const override;
  Canvas draw(std::int64_t side, const std::optional<Vec2>& action) const override;
  Vec2 on_picture(const Vec2& target) const override;

  Vec2 position_{};
  std::optional<Way> way_;
  double first_distance_ = 1;
};

// What the expert saw and answered; positions has one row more, the last.
struct TwoWaysDemonstration {
  Way way{};
  std::vector<Vec2> positions, actions;
  std::vector<at::Tensor> pictures = {};  // uint8 [3, side, side] before each action, where wanted
};

// The expert's episode of that seed, which also draws the way, with even chances. The point is
// moved by a target that normal noise of the deviation `disturbance` was added to, while the
// expert's own answer is what is recorded: demonstrations that show how to come back.
// Pictures of `picture_side` pixels, 0: none.
TwoWaysDemonstration two_ways_demonstration(std::uint32_t seed, double disturbance = 0,
                                            std::int64_t picture_side = 0);

// Episodes of the seeds `seed`, `seed` + 1, ..., as arrays of the format of
// data/demonstrations.h: "state" [steps, 2], "action" [steps, 2], "episode_ends" [episodes],
// and where pictures are wanted "img" [steps, side, side, 3].
std::vector<std::pair<std::string, at::Tensor>> two_ways_demonstrations(
    std::uint32_t seed, std::int64_t episodes, double disturbance, std::int64_t picture_side = 0);

}  // namespace calor::policy
