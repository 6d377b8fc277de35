#include "calor/distill/grouping.h"

#include <algorithm>
#include <limits>

namespace calor::distill {

std::vector<StageGroup> equal_groups(int stages, int groups) {
  std::vector<StageGroup> out;
  for (int g = 0; g < groups; ++g) {
    out.push_back({.first = stages * g / groups, .last = stages * (g + 1) / groups - 1});
  }
  return out;
}

// least[g][r]: the least sum for the first r stages in g groups; from[g][r]: where its last group
// begins.
std::vector<StageGroup> best_groups(const std::vector<std::vector<double>>& error, int groups) {
  const auto stages = static_cast<int>(error.size());
  constexpr double none = std::numeric_limits<double>::infinity();
  const auto n = static_cast<std::size_t>(stages) + 1;
  std::vector<std::vector<double>> least(static_cast<std::size_t>(groups) + 1,
                                         std::vector<double>(n, none));
  std::vector<std::vector<int>> from(least.size(), std::vector<int>(n, 0));
  least[0][0] = 0;
  for (std::size_t g = 1; g < least.size(); ++g) {
    for (std::size_t r = g; r < n; ++r) {
      for (std::size_t l = g - 1; l < r; ++l) {
        const double sum = least[g - 1][l] + error[l][r - 1];
        if (sum >= least[g][r]) continue;
        least[g][r] = sum;
        from[g][r] = static_cast<int>(l);
      }
    }
  }
  std::vector<StageGroup> out;
  int end = stages;
  for (auto g = static_cast<std::size_t>(groups); g > 0; --g) {
    const int begin = from[g][static_cast<std::size_t>(end)];
    out.push_back({.first = begin, .last = end - 1});
    end = begin;
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace calor::distill
