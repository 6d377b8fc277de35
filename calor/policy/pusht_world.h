// The physics of PushT (Chi et al., "Diffusion policy", RSS 2023; Florence et al., "Implicit
// behavioral cloning", 2021), rebuilt on the engine of the original, Chipmunk2D 7: a disc, the
// agent, pushes a block with the shape of a T over a table without friction. All dynamic velocities
// are zeroed in every step, so the block moves only while it is pushed. Units: pixels of a 512 x
// 512 window with y downwards, seconds, radians, kilograms.
#pragma once

#include <array>
#include <memory>
#include <numbers>
#include <vector>

#include "calor/policy/polygon.h"

namespace calor::policy {

inline constexpr double pusht_window = 512;
inline constexpr double pusht_substep = 0.01;

// The block's two rectangles in its own coordinates, whose origin is the middle of the bar's outer
// edge. They share an edge and no area.
inline constexpr std::array<Vec2, 4> pusht_bar{{{-60, 0}, {60, 0}, {60, 30}, {-60, 30}}};
inline constexpr std::array<Vec2, 4> pusht_stem{{{-15, 30}, {15, 30}, {15, 120}, {-15, 120}}};

struct PushtPose {
  Vec2 agent{};
  Vec2 block{};  // of the block's origin, not of its centre of gravity
  double angle = 0;
};

struct PushtState {
  PushtPose pose;  // the angle is not wrapped
  Vec2 agent_velocity{};
  Vec2 block_velocity{};  // of the centre of gravity
  double angular_velocity = 0;
};

inline constexpr PushtPose pusht_goal{
    .agent = {}, .block = {256, 256}, .angle = std::numbers::pi / 4};

// Setting the angle turns the block about its centre of gravity, so the order matters: every
// evaluation and recording set the position first and so start elsewhere than they say.
enum class PoseOrder { position_first, angle_first };

// What the original's pictures show of the world, in the order of drawing.
struct PushtShape {
  enum class Kind { wall, agent, block, contact };
  Kind kind{};
  std::vector<Vec2> points;  // ends, centre, or corners
  double radius = 0;         // of a wall or the agent
};

class PushtWorld {
 public:
  // A new world in this pose, after one sub-step without control, as the original's reset.
  PushtWorld(const PushtPose& pose, PoseOrder order);
  ~PushtWorld();
  PushtWorld(const PushtWorld&) = delete;
  PushtWorld& operator=(const PushtWorld&) = delete;
  PushtWorld(PushtWorld&&) noexcept;
  PushtWorld& operator=(PushtWorld&&) noexcept;

  // One sub-step of 0.01 s, in which the agent is accelerated towards `target`, finite, by
  // 100 (target - position) - 20 velocity.
  void substep(const Vec2& target);

  PushtState state() const;
  // Points at which things touched, with effect, in the last sub-step.
  int contact_points() const;
  std::vector<PushtShape> shapes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace calor::policy
