// PushT, the benchmark of diffusion policies (Chi et al., RSS 2023): push the block onto the goal.
// An action is the agent's target, held for 0.1 s. Starts, physics, rewards and pictures are the
// original's; evaluations take the seeds 100000 to 100049 and the best reward of 300 steps.
#pragma once

#include <array>
#include <optional>

#include "calor/policy/environment.h"
#include "calor/policy/pusht_world.h"

namespace calor::policy {

inline constexpr int pusht_substeps = 10;  // 10 Hz of control, 100 Hz of physics

// The pose that the seed draws; the episode starts from it with the position set first.
PushtPose pusht_start(std::uint32_t seed);

// area(block and goal) / area(goal), the block as `pose` has it.
double pusht_coverage(const PushtPose& pose);

// The nine points of the block that the original's low-dimensional policies see, on the window.
std::array<Vec2, 9> pusht_keypoints(const PushtPose& pose);

// Observations: "state" (agent x y, block x y, angle in [0, 2 pi)) "keypoints" (nine times x y,
// then agent x y) and "agent" (agent x y).
class PushT final : public Environment {
 public:
  PushT();

  // Starts an episode in a pose of one's own.
  void start_at(const PushtPose& pose, PoseOrder order);

  // Both only after the first reset.
  const PushtWorld& world() const { return *world_; }
  double coverage() const { return pusht_coverage(world_->state().pose); }
  // Contact points, summed over the sub-steps of the last control step; before the first, those of
  // the reset's one sub-step.
  int contact_points() const { return contact_points_; }
  // The recordings' number: the mean over the sub-steps, rounded up.
  int contacts() const { return (contact_points_ + pusht_substeps - 1) / pusht_substeps; }

 private:
  void start(std::uint32_t seed) override;
  Outcome advance(std::span<const double> action) override;
  std::vector<double> observation(std::size_t index) const override;
  Canvas draw(std::int64_t side, const std::optional<Vec2>& action) const override;
  Vec2 on_picture(const Vec2& target) const override;

  std::optional<PushtWorld> world_;
  int contact_points_ = 0;
};

}  // namespace calor::policy
