// Which of LibTorch's operators, and which nodes of backward passes, a piece of work spends its
// time in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace calor::train {

struct OperatorTime {
  std::string name;
  std::int64_t count = 0;
  double seconds = 0;  // without those of the operators that it called
};

// Under their names, the longest first.
std::vector<OperatorTime> longest_first(const std::map<std::string, OperatorTime>& by_name);

// Counts on any thread, while it lives. One at a time. Costs about a microsecond an operator.
class OperatorClock {
 public:
  OperatorClock();
  ~OperatorClock();
  OperatorClock(const OperatorClock&) = delete;
  OperatorClock& operator=(const OperatorClock&) = delete;

  // Those so far, the longest first.
  std::vector<OperatorTime> times() const;
};

}  // namespace calor::train
