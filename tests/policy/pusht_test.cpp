// PushT against the original: resets, physics, coverage, rewards, contacts, key points and pictures
// of data/golden/README_pusht.md, at its tolerances; and demonstrations replayed from their seeds.
#include "calor/policy/pusht.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>

#include "calor/io/npy.h"
#include "calor/policy/pusht_picture.h"
#include "tests/support/golden.h"

namespace calor::policy {
namespace {

using Arrays = std::map<std::string, at::Tensor>;

#define CALOR_ARRAYS(variable, name)                                                        \
  const auto variable##_path = test::golden_path(name);                                     \
  if (variable##_path.empty()) GTEST_SKIP() << "no golden/" << name << " in a data folder"; \
  const Arrays variable = io::read_npz(variable##_path)

double number(const at::Tensor& t) { return t.item<double>(); }
std::int64_t whole(const at::Tensor& t) { return t.item<std::int64_t>(); }
Vec2 pair(const at::Tensor& t) { return {number(t[0]), number(t[1])}; }

PushtPose pose_of(const at::Tensor& row) {
  return {.agent = pair(row), .block = pair(row.narrow(0, 2, 2)), .angle = number(row[4])};
}

at::Tensor row_of(const std::vector<double>& numbers) { return at::tensor(numbers, at::kDouble); }

// Agent x, y, block x, y, angle.
at::Tensor pose_row(const PushtPose& p) {
  return row_of({p.agent[0], p.agent[1], p.block[0], p.block[1], p.angle});
}

// The columns of `states`.
at::Tensor state_row(const PushtState& s) {
  return row_of({s.pose.agent[0], s.pose.agent[1], s.agent_velocity[0], s.agent_velocity[1],
                 s.pose.block[0], s.pose.block[1], s.pose.angle});
}

at::Tensor velocity_row(const PushtState& s) {
  return row_of({s.block_velocity[0], s.block_velocity[1], s.angular_velocity});
}

double largest(const at::Tensor& a, const at::Tensor& b) { return number((a - b).abs().max()); }

TEST(PushT, ResetsAreTheOriginals) {
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  for (std::int64_t e = 0; e < golden.at("seeds").size(0); ++e) {
    const PushtPose drawn = pusht_start(static_cast<std::uint32_t>(whole(golden.at("seeds")[e])));
    EXPECT_TRUE(at::equal(pose_row(drawn), golden.at("resets_drawn")[e])) << e;
    for (const auto& [order, name] :
         {std::pair{PoseOrder::position_first, std::string("resets_legacy")},
          std::pair{PoseOrder::angle_first, std::string("resets_new")}}) {
      PushT environment;
      environment.start_at(drawn, order);
      EXPECT_LE(largest(pose_row(environment.world().state().pose), golden.at(name)[e]), 1e-9);
      EXPECT_EQ(environment.contact_points(), whole(golden.at(name + "_n_contact_points")[e]));
      EXPECT_NEAR(environment.coverage(), number(golden.at(name + "_coverage")[e]), 1e-9);
    }
  }
}

TEST(PushT, TrajectoriesUnderGivenActions) {
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  const at::Tensor& actions = golden.at("actions");
  for (std::int64_t e = 0; e < actions.size(0); ++e) {
    PushT environment;
    environment.reset(static_cast<std::uint64_t>(whole(golden.at("seeds")[e])));
    for (std::int64_t t = 0; t < actions.size(1); ++t) {
      const Outcome outcome = environment.step(pair(actions[e][t]));
      const PushtState state = environment.world().state();
      ASSERT_LE(largest(state_row(state), golden.at("states")[e][t + 1]), 1e-6) << e << ", " << t;
      ASSERT_LE(largest(velocity_row(state), golden.at("block_velocities")[e][t + 1]), 1e-5);
      EXPECT_NEAR(environment.coverage(), number(golden.at("coverage")[e][t]), 1e-8);
      EXPECT_NEAR(outcome.reward, number(golden.at("rewards")[e][t]), 1e-8);
      EXPECT_EQ(outcome.done, whole(golden.at("done")[e][t]) != 0);
      EXPECT_EQ(environment.contact_points(), whole(golden.at("n_contact_points")[e][t]));
      EXPECT_EQ(environment.contacts(), whole(golden.at("n_contacts")[e][t]));
    }
    EXPECT_NEAR(environment.best_reward(), number(golden.at("rewards")[e].max()), 1e-8);
  }
}

TEST(PushT, EverySubstep) {
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  const at::Tensor& rows = golden.at("substep_states");
  for (std::int64_t e = 0; e < rows.size(0); ++e) {
    PushtWorld world(pusht_start(static_cast<std::uint32_t>(whole(golden.at("seeds")[e]))),
                     PoseOrder::position_first);
    for (std::int64_t k = 0; k < rows.size(1); ++k) {
      world.substep(pair(golden.at("actions")[e][k / 10]));
      const PushtState state = world.state();
      const at::Tensor row = at::cat({state_row(state), velocity_row(state)});
      ASSERT_LE(largest(row, rows[e][k].narrow(0, 0, 10)), 1e-6) << e << ", " << k;
      EXPECT_EQ(world.contact_points(), whole(rows[e][k][10]));
    }
  }
}

// One demonstration from its start: the simulated states and, where given, all that follows.
void replay(PushT& environment, const Arrays& golden, std::int64_t d, const std::string& states) {
  const std::int64_t first = whole(golden.at("demo_offsets")[d]);
  const std::int64_t last = whole(golden.at("demo_offsets")[d + 1]);
  for (std::int64_t i = first; i < last; ++i) {
    const at::Tensor row = state_row(environment.world().state());
    ASSERT_LE(largest(row, golden.at(states)[i]), 1e-6) << d << ", " << i;
    const Outcome outcome = environment.step(pair(golden.at("demo_actions")[i]));
    if (states != "demo_states") continue;
    EXPECT_NEAR(outcome.reward, number(golden.at("demo_rewards")[i]), 1e-8);
    EXPECT_NEAR(environment.coverage(), number(golden.at("demo_coverage")[i]), 1e-8);
    EXPECT_EQ(outcome.done, whole(golden.at("demo_done")[i]) != 0);
    EXPECT_EQ(environment.contact_points(), whole(golden.at("demo_n_contact_points")[i]));
  }
  const std::string final_states = "demo_final_" + states.substr(5);
  EXPECT_LE(largest(state_row(environment.world().state()), golden.at(final_states)[d]), 1e-6);
}

TEST(PushT, DemonstrationsReplayedFromTheirSeeds) {
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  for (std::int64_t d = 0; d < golden.at("demo_episodes").size(0); ++d) {
    PushT environment;
    environment.reset(static_cast<std::uint64_t>(whole(golden.at("demo_episodes")[d])));
    replay(environment, golden, d, "demo_states");
  }
}

TEST(PushT, DemonstrationsFromTheRecordedFirstState) {
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  for (std::int64_t d = 0; d < golden.at("demo_episodes").size(0); ++d) {
    const std::int64_t first = whole(golden.at("demo_offsets")[d]);
    PushT environment;
    environment.start_at(pose_of(golden.at("demo_states_recorded")[first]), PoseOrder::angle_first);
    replay(environment, golden, d, "demo_states_from_recorded");
  }
}

// What a person recorded in single precision, for all demonstrations of the file: the largest
// differences are those of rounding. Two of an angle are apart by at most half a turn.
TEST(PushT, RecordedObservations) {
  const auto folders = data::data_folders();
  std::filesystem::path path;
  for (const auto& folder : folders) {
    const auto file = folder / "pusht" / "pusht_cchi_v7_lowdim.npz";
    std::error_code ignored;
    if (path.empty() && std::filesystem::exists(file, ignored)) path = file;
  }
  if (path.empty()) GTEST_SKIP() << "no pusht/pusht_cchi_v7_lowdim.npz in a data folder";
  const Arrays recorded = io::read_npz(path);
  const at::Tensor states = recorded.at("state").to(at::kDouble).contiguous();
  const at::Tensor actions = recorded.at("action").to(at::kDouble).contiguous();
  const auto* state = states.const_data_ptr<double>();
  const auto* action = actions.const_data_ptr<double>();
  const at::Tensor& ends = recorded.at("episode_ends");
  double worst = 0;
  std::int64_t i = 0;
  for (std::int64_t e = 0; e < ends.size(0); ++e) {
    PushT environment;
    environment.reset(static_cast<std::uint64_t>(e));
    for (; i < whole(ends[e]); ++i) {
      const std::vector<double> seen = environment.observe("state");
      for (std::int64_t c = 0; c < 5; ++c) {
        double difference = seen[static_cast<std::size_t>(c)] - state[5 * i + c];
        if (c == 4) difference = std::remainder(difference, 2 * std::numbers::pi);
        worst = std::max(worst, std::abs(difference));
      }
      environment.step(std::array{action[2 * i], action[2 * i + 1]});
    }
  }
  EXPECT_EQ(i, states.size(0));
  EXPECT_LE(worst, 1.6e-5);
}

// The world behind picture k: the start of its episode and so many actions.
void bring_to(PushT& environment, const Arrays& pictures, const Arrays& golden, std::int64_t k) {
  const std::int64_t episode = whole(pictures.at("image_episode")[k]);
  environment.reset(static_cast<std::uint64_t>(whole(pictures.at("image_seeds")[k])));
  for (std::int64_t t = 0; t < whole(pictures.at("image_step")[k]); ++t) {
    environment.step(pair(golden.at("actions")[episode][t]));
  }
}

// The bar for another rasteriser: 1.5 % of the values and 0.4 on average. Ours draws the same
// pixels.
void expect_picture(const at::Tensor& drawn, const at::Tensor& rows, const char* what) {
  const at::Tensor difference =
      (drawn.to(at::kDouble) - rows.permute({2, 0, 1}).to(at::kDouble)).abs();
  EXPECT_EQ(number(difference.gt(0).to(at::kDouble).mean()), 0) << what;
  EXPECT_EQ(number(difference.mean()), 0) << what;
}

TEST(PushT, Pictures) {
  CALOR_ARRAYS(pictures, "pusht_images.npz");
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  for (std::int64_t k = 0; k < pictures.at("image_states").size(0); ++k) {
    PushT environment;
    bring_to(environment, pictures, golden, k);
    EXPECT_EQ(environment.contact_points(), whole(pictures.at("image_n_contact_points")[k]));
    expect_picture(environment.picture(), pictures.at("obs_images")[k], "observation");
    expect_picture(environment.picture({.show_action = true}), pictures.at("render_images")[k],
                   "with the action");
    for (std::int64_t c = 0; c < pictures.at("canvas_index").size(0); ++c) {
      if (whole(pictures.at("canvas_index")[c]) != k) continue;
      expect_picture(pusht_canvas(environment.world()).picture(), pictures.at("canvas_512")[c],
                     "canvas");
      expect_picture(environment.picture({.side = 512}), pictures.at("canvas_512")[c],
                     "reduced by nothing");
    }
  }
}

TEST(PushT, KeyPoints) {
  CALOR_ARRAYS(pictures, "pusht_images.npz");
  CALOR_ARRAYS(golden, "pusht_trajectories.npz");
  for (std::int64_t k = 0; k < pictures.at("image_states").size(0); ++k) {
    const PushtPose pose = pose_of(pictures.at("image_states")[k]);
    const auto points = pusht_keypoints(pose);
    for (std::size_t p = 0; p < points.size(); ++p) {
      const Vec2 expected = pair(pictures.at("keypoints")[k][static_cast<std::int64_t>(p)]);
      EXPECT_NEAR(points[p][0], expected[0], 1e-9);
      EXPECT_NEAR(points[p][1], expected[1], 1e-9);
    }
    PushT environment;
    bring_to(environment, pictures, golden, k);
    EXPECT_LE(largest(pose_row(environment.world().state().pose), pictures.at("image_states")[k]),
              1e-6);
    // The reference appends a flag "visible" for each number; all of them are 1.
    const at::Tensor seen = row_of(environment.observe("keypoints"));
    EXPECT_LE(largest(seen, pictures.at("keypoint_obs")[k].narrow(0, 0, 20)), 1e-6);
  }
}

}  // namespace
}  // namespace calor::policy
