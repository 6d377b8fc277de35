#include "calor/policy/pusht.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "calor/policy/numpy_random.h"
#include "calor/policy/pusht_picture.h"

namespace calor::policy {
namespace {

constexpr double pi = std::numbers::pi;
constexpr double goal_area = 120 * 30 + 30 * 90;
constexpr double success_coverage = 0.95;

// In the block's coordinates; chosen by the original once, at random, and kept in its recordings.
constexpr std::array<Vec2, 9> local_keypoints{{{9.269786713763871, 90.04097352393619},
                                               {-60.983472364471474, -1.1867297607997276},
                                               {60.91275557727772, -1.3933642242328201},
                                               {-0.2705034390160016, 25.54362499146542},
                                               {-14.064927576212233, 122.81585355412153},
                                               {39.002738500170146, 32.857404276587566},
                                               {-39.966414424694534, 32.729655446429945},
                                               {-16.82434437939744, 62.86317892234989},
                                               {23.54146122024909, -1.7002881094626152}}};

std::array<Vec2, 4> placed_part(const std::array<Vec2, 4>& part, const PushtPose& pose) {
  std::array<Vec2, 4> corners{};
  for (std::size_t i = 0; i < corners.size(); ++i) {
    corners[i] = placed(part[i], pose.block, pose.angle);
  }
  return corners;
}

double wrapped(double angle) {
  const double rest = std::fmod(angle, 2 * pi);
  return rest < 0 ? rest + 2 * pi : rest;
}

VectorSpec keypoints_spec() {
  VectorSpec spec{.name = "keypoints",
                  .text = "nine points of the block and the agent, x and y",
                  .low = {},
                  .high = {}};
  spec.low.assign(2 * (local_keypoints.size() + 1), 0);
  spec.high.assign(spec.low.size(), pusht_window);
  return spec;
}

EnvironmentSpec pusht_spec() {
  constexpr double side = pusht_window;
  return {.name = "pusht",
          .text = "a disc pushes a block with the shape of a T onto its goal",
          .action = {.name = "target",
                     .text = "the agent's target, x and y in pixels of the 512 x 512 window",
                     .low = {0, 0},
                     .high = {side, side}},
          .observations = {{.name = "state",
                            .text = "agent x y, block x y, angle in [0, 2 pi)",
                            .low = {0, 0, 0, 0, 0},
                            .high = {side, side, side, side, 2 * pi}},
                           keypoints_spec(),
                           {.name = "agent",
                            .text = "agent x y, beside pictures",
                            .low = {0, 0},
                            .high = {side, side},
                            .beside_pictures = true}},
          .max_steps = 300,
          .control_hz = 10};
}

}  // namespace

PushtPose pusht_start(std::uint32_t seed) {
  NumpyRandom random(seed);
  const auto integer = [&](std::int64_t low, std::int64_t high) {
    return static_cast<double>(random.integer(low, high));
  };
  PushtPose pose;
  for (double& v : pose.agent) v = integer(50, 450);
  for (double& v : pose.block) v = integer(100, 400);
  pose.angle = random.normal() * 2 * pi - pi;
  return pose;
}

// Neither the block's rectangles nor the goal's overlap each other: the areas of the four pairs add
// up.
double pusht_coverage(const PushtPose& pose) {
  double area = 0;
  for (const auto* block_part : {&pusht_bar, &pusht_stem}) {
    const std::array<Vec2, 4> block = placed_part(*block_part, pose);
    for (const auto* goal_part : {&pusht_bar, &pusht_stem}) {
      area += signed_area(intersection(block, placed_part(*goal_part, pusht_goal)));
    }
  }
  return area / goal_area;
}

std::array<Vec2, 9> pusht_keypoints(const PushtPose& pose) {
  std::array<Vec2, 9> points{};
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i] = placed(local_keypoints[i], pose.block, pose.angle);
  }
  return points;
}

PushT::PushT() : Environment(pusht_spec()) {}

void PushT::start_at(const PushtPose& pose, PoseOrder order) {
  world_.emplace(pose, order);
  contact_points_ = world_->contact_points();
  begin_episode();
}

void PushT::start(std::uint32_t seed) { start_at(pusht_start(seed), PoseOrder::position_first); }

Outcome PushT::advance(std::span<const double> action) {
  contact_points_ = 0;
  for (int i = 0; i < pusht_substeps; ++i) {
    world_->substep({action[0], action[1]});
    contact_points_ += world_->contact_points();
  }
  const double covered = coverage();
  return {.reward = std::clamp(covered / success_coverage, 0.0, 1.0),
          .done = covered > success_coverage};
}

std::vector<double> PushT::observation(std::size_t index) const {
  const PushtPose pose = world_->state().pose;
  if (index == 0) {
    return {pose.agent[0], pose.agent[1], pose.block[0], pose.block[1], wrapped(pose.angle)};
  }
  if (index == 2) return {pose.agent[0], pose.agent[1]};
  std::vector<double> numbers;
  for (const Vec2& point : pusht_keypoints(pose))
    numbers.insert(numbers.end(), {point[0], point[1]});
  numbers.insert(numbers.end(), {pose.agent[0], pose.agent[1]});
  return numbers;
}

Vec2 PushT::on_picture(const Vec2& target) const {
  return {target[0] / pusht_window, target[1] / pusht_window};
}

Canvas PushT::draw(std::int64_t side, const std::optional<Vec2>& action) const {
  return pusht_picture(*world_, side, action);
}

}  // namespace calor::policy
