// What holds for every environment: names, refusals, episodes that depend on nothing but their seed
// and actions, in however many threads.
#include "calor/policy/environment.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <thread>

#include "calor/core/error.h"
#include "calor/policy/make_environment.h"
#include "calor/policy/numpy_random.h"
#include "calor/policy/pusht.h"

namespace calor::policy {
namespace {

template <class Work>
std::string refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return {};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Environment, Names) {
  for (const std::string& name : environment_names()) {
    EXPECT_EQ(make_environment(name)->spec().name, name);
  }
  EXPECT_TRUE(has(refusal([] { make_environment("push-t"); }), "did you mean 'pusht'?"));
  EXPECT_TRUE(has(refusal([] { make_environment("cartpole"); }), "pusht, two-ways"));
}

TEST(Environment, SpecsAgreeWithWhatIsSeen) {
  for (const std::string& name : environment_names()) {
    const auto environment = make_environment(name);
    environment->reset(1);
    const EnvironmentSpec& spec = environment->spec();
    EXPECT_EQ(spec.action.low.size(), spec.action.high.size());
    for (const VectorSpec& observation : spec.observations) {
      const std::vector<double> seen = environment->observe(observation.name);
      ASSERT_EQ(seen.size(), observation.size());
      ASSERT_EQ(observation.high.size(), observation.size());
      for (std::size_t i = 0; i < seen.size(); ++i) {
        EXPECT_GE(seen[i], observation.low[i]) << name << " " << observation.name << " " << i;
        EXPECT_LE(seen[i], observation.high[i]) << name << " " << observation.name << " " << i;
      }
    }
    const at::Tensor picture = environment->picture({.side = spec.picture_side});
    EXPECT_EQ(picture.sizes(),
              (std::vector<std::int64_t>{3, spec.picture_side, spec.picture_side}));
    EXPECT_GT(std::get<0>(at::_unique(picture)).numel(), 4);
  }
}

TEST(Environment, WrongUseIsRefused) {
  for (const std::string& name : environment_names()) {
    const auto environment = make_environment(name);
    const std::array<double, 2> fine{0.5, 0.5};
    EXPECT_TRUE(has(refusal([&] { environment->step(fine); }), "reset"));
    EXPECT_TRUE(has(refusal([&] { environment->observe("state"); }), "reset"));
    EXPECT_TRUE(has(refusal([&] { environment->picture(); }), "reset"));
    EXPECT_TRUE(has(refusal([&] { environment->reset(std::uint64_t{1} << 32); }), "4294967295"));
    environment->reset(4294967295);
    EXPECT_TRUE(has(refusal([&] { environment->step(std::array{1.0}); }), "2 numbers"));
    EXPECT_TRUE(has(refusal([&] { environment->step(std::array{1.0, 2.0, 3.0}); }), "2 numbers"));
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(), -1.1e5}) {
      EXPECT_TRUE(has(refusal([&] { environment->step(std::array{0.5, bad}); }), "as number 2"));
    }
    EXPECT_TRUE(has(refusal([&] { environment->observe("stat"); }), "did you mean 'state'?"));
    EXPECT_TRUE(has(refusal([&] { environment->picture({.side = 0}); }), "1 to 512"));
    EXPECT_TRUE(has(refusal([&] { environment->picture({.side = 513}); }), "1 to 512"));
    EXPECT_EQ(environment->steps(), 0);  // nothing of that was a step
    EXPECT_FALSE(environment->success());
    environment->step(fine);
    EXPECT_EQ(environment->steps(), 1);
  }
}

TEST(Environment, AnEpisodeIsOverAfterItsSteps) {
  const auto environment = make_environment("pusht");
  environment->reset(0);
  for (std::int64_t t = 0; t < 300; ++t) {
    EXPECT_FALSE(environment->over());
    environment->step(std::array{256.0, 400.0});
  }
  EXPECT_TRUE(environment->over());
  environment->reset(0);
  EXPECT_FALSE(environment->over());
  EXPECT_EQ(environment->best_reward(), 0);
}

TEST(Environment, TheGoalIsASuccess) {
  PushT environment;
  environment.start_at({.agent = {50, 50}, .block = {256, 256}, .angle = pusht_goal.angle},
                       PoseOrder::angle_first);
  const Outcome outcome = environment.step(std::array{50.0, 50.0});
  EXPECT_EQ(outcome.reward, 1);
  EXPECT_TRUE(outcome.done);
  EXPECT_TRUE(environment.success());
  EXPECT_TRUE(environment.over());
}

// Wherever the agent is sent, numbers stay finite and the engine's own checks, which would end the
// process, are content.
TEST(Environment, WildActions) {
  NumpyRandom random(3);
  PushT environment;
  for (std::uint64_t episode = 0; episode < 40; ++episode) {
    environment.reset(episode);
    const double reach = episode % 2 == 0 ? 1e5 : 600;
    for (int t = 0; t < 40; ++t) {
      environment.step(std::array{256 + (reach - 256) * (2 * random.uniform() - 1),
                                  256 + (reach - 256) * (2 * random.uniform() - 1)});
    }
    for (const double v : environment.observe("keypoints")) EXPECT_TRUE(std::isfinite(v));
    environment.picture();
  }
}

// Everything that an episode shows, as numbers.
std::vector<double> episode(const std::string& name, std::uint64_t seed) {
  const auto environment = make_environment(name);
  environment->reset(seed);
  NumpyRandom random(static_cast<std::uint32_t>(seed));
  const EnvironmentSpec& spec = environment->spec();
  std::vector<double> shown;
  std::vector<double> action(spec.action.size());
  for (int t = 0; t < 60; ++t) {
    for (std::size_t i = 0; i < action.size(); ++i) {
      const double middle = (spec.action.low[i] + spec.action.high[i]) / 2;
      action[i] = middle + (spec.action.high[i] - middle) * (1.2 * random.uniform() - 0.6);
    }
    shown.push_back(environment->step(action).reward);
    const std::vector<double> seen = environment->observe("state");
    shown.insert(shown.end(), seen.begin(), seen.end());
  }
  const at::Tensor picture = environment->picture({.show_action = true}).to(at::kDouble).flatten();
  const auto* pixels = picture.const_data_ptr<double>();
  shown.insert(shown.end(), pixels, pixels + picture.numel());
  return shown;
}

TEST(Environment, ThreadsChangeNothing) {
  constexpr std::uint64_t episodes = 12;
  for (const std::string& name : environment_names()) {
    std::vector<std::vector<double>> together(episodes);
    std::vector<std::thread> threads;
    for (std::uint64_t first = 0; first < 4; ++first) {
      threads.emplace_back([&, first] {
        for (std::uint64_t e = first; e < episodes; e += 4) together[e] = episode(name, 100000 + e);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::uint64_t e = 0; e < episodes; ++e) {
      EXPECT_EQ(together[e], episode(name, 100000 + e)) << name << " " << e;  // bit for bit
    }
    EXPECT_NE(together[0], together[1]);
  }
}

// Standard output is for results: the engine's greeting must not get there.
TEST(Environment, NothingIsPrinted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process of its own, with its first space
  ASSERT_EXIT(
      {
        std::fflush(stdout);  // what gtest has said so far
        int pipe_ends[2];
        if (::pipe(pipe_ends) != 0) ::_exit(3);
        ::dup2(pipe_ends[1], STDOUT_FILENO);
        make_environment("pusht")->reset(0);
        std::printf("x");
        std::fflush(stdout);
        char text[8] = {};
        const auto count = ::read(pipe_ends[0], text, sizeof text);
        ::_exit(count == 1 && text[0] == 'x' ? 0 : 4);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Environment, MarksAPlanWhereItIs) {
  const auto marks = [](const char* name, const Vec2& target) {
    const auto environment = make_environment(name);
    environment->reset(1);
    const at::Tensor plain = environment->picture({.side = 160});
    return plain.ne(environment->picture({.side = 160, .plan = {target}})).any(0);
  };
  // Half of the width and a quarter of the height, from the upper left corner.
  for (const at::Tensor& changed : {marks("pusht", {256, 128}), marks("two-ways", {0, 0.5})}) {
    EXPECT_TRUE(changed[39][79].item<bool>());
    EXPECT_GE(changed.sum().item<std::int64_t>(), 8);
    EXPECT_LE(changed.sum().item<std::int64_t>(), 16);
  }
}

}  // namespace
}  // namespace calor::policy
