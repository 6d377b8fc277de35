// The numbers that stand at an axis.
#pragma once

#include <vector>

namespace calor::report {

// Round numbers inside [low, high], about `wanted` of them: steps of 1, 2 or 5 times a power of 10.
// Error where the range is empty or not finite.
std::vector<double> round_ticks(double low, double high, int wanted);
// Powers of ten inside [low, high], low > 0: with 2 and 5 times them where there are few, every
// second, third, ... where there are more than about ten.
std::vector<double> logarithmic_ticks(double low, double high);

}  // namespace calor::report
