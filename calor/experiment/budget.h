// How long an experiment's trainings take, and by how much they must be shortened for a budget.
#pragma once

#include <cstdint>
#include <span>

namespace calor::experiment {

// Seconds of one training: `start` whatever its length, `step` for each of its steps.
struct Cost {
  double start = 0, step = 0;
};

// A training of the given number of steps, and the seconds of the whole command.
struct Trial {
  std::int64_t steps = 0;
  double seconds = 0;
};

// The cost that two trials of different lengths show. Clocks scatter: where the longer was not
// the slower, its steps are taken to cost all of its time, and a start costs at least nothing.
Cost cost_of(const Trial& shorter, const Trial& longer);

struct Training {
  Cost cost;
  std::int64_t steps = 0;  // at its own length
};

// Seconds of all trainings, one after another, at `scale` times their own length.
double seconds_of(std::span<const Training> trainings, double scale);

// The scale at which they take `seconds` in all, `at_once` at a time (or all of them, where they
// are fewer); 1 where there are none. At least 1 of 10,000 of their length must be left: UsageError
// (--budget) where their starts alone use up the budget.
double scale_for_budget(std::span<const Training> trainings, double seconds, std::int64_t at_once);

}  // namespace calor::experiment
