// How many control steps of PushT a second one core makes, without drawing; with --pictures, also
// how many with a 96 x 96 picture each.
//
//     build/bench/pusht_steps [--episodes 40] [--pictures]
//
// Episodes of 100 steps; the agent is sent to points around the block, so that it is in contact
// much of the time: as peers/pusht_steps.py does, which steps the same worlds in plain pymunk.
// Prints one line "steps_per_second NUMBER contact_points NUMBER": the second number is the same
// there.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>

#include "calor/core/error.h"
#include "calor/policy/numpy_random.h"
#include "calor/policy/pusht.h"

namespace {

using namespace calor;

struct Counted {
  std::int64_t steps = 0, contact_points = 0;
};

Counted run(std::uint32_t episodes, bool pictures) {
  Counted counted;
  for (std::uint32_t seed = 0; seed < episodes; ++seed) {
    policy::PushT environment;
    environment.reset(seed);
    policy::NumpyRandom random(seed + 1'000'000);
    policy::Vec2 target{};
    for (int t = 0; t < 100; ++t) {
      if (t % 5 == 0) {
        const policy::Vec2 block = environment.world().state().pose.block;
        for (std::size_t i = 0; i < 2; ++i) target[i] = block[i] + 160 * (random.uniform() - 0.5);
      }
      environment.step(target);
      counted.contact_points += environment.contact_points();
      if (pictures) environment.picture();
    }
    counted.steps += environment.steps();
  }
  return counted;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint32_t episodes = 40;
  bool pictures = false;
  CLI::App program("Control steps of PushT a second, on one core.", "pusht_steps");
  program.add_option("--episodes", episodes, "episodes of 100 steps")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  program.add_flag("--pictures", pictures, "draw what a policy sees in each step");
  CLI11_PARSE(program, argc, argv);
  try {
    run(2, pictures);
    const std::clock_t start = std::clock();
    const Counted counted = run(episodes, pictures);
    const double taken =
        static_cast<double>(std::clock() - start) / static_cast<double>(CLOCKS_PER_SEC);
    fmt::print("steps_per_second {:.0f} contact_points {}\n",
               static_cast<double>(counted.steps) / taken, counted.contact_points);
  } catch (const calor::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return error.exit_status();
  }
}
