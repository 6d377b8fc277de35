// Which of its kernels a GPU spends its time in.
#pragma once

#include <vector>

#include "calor/train/operator_clock.h"

namespace calor::train {

// Counts what a GPU does while it lives, copies included. One at a time, begun and asked on one
// thread.
class KernelClock {
 public:
  KernelClock();
  ~KernelClock();
  KernelClock(const KernelClock&) = delete;
  KernelClock& operator=(const KernelClock&) = delete;

  // Ends the counting; the longest first, under the names that the kernels were compiled with.
  // Whoever asks has waited for the GPU.
  std::vector<OperatorTime> times();

 private:
  bool counting_ = true;
};

}  // namespace calor::train
