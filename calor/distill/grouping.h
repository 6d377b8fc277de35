// How the stages of a teacher are grouped for its students.
#pragma once

#include <vector>

namespace calor::distill {

// Stages first .. last (from 0, data to noise) that one student takes the place of.
struct StageGroup {
  int first = 0, last = 0;
  bool operator==(const StageGroup&) const = default;
};

// `groups` groups of about equal numbers of stages, data to noise.
std::vector<StageGroup> equal_groups(int stages, int groups);

// The groups with the least sum of errors, where error[l][r] is that of one student for the stages
// l .. r (r >= l); by dynamic programming over the last border (METHODS: distillation).
std::vector<StageGroup> best_groups(const std::vector<std::vector<double>>& error, int groups);

}  // namespace calor::distill
