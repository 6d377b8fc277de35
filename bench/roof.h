// What a piece of work would take at least: its matrix products and convolutions, each alone.
#pragma once

#include <functional>

#include "calor/train/roof.h"

namespace calor::bench {

// Does the work once; seconds that its products take alone, by the library that multiplies here.
inline double products_alone(const std::function<void()>& work) {
  train::ProductRecorder recorder;
  work();
  double seconds = 0;
  for (const auto& product : recorder.time_alone()) seconds += product.seconds;
  return seconds;
}

}  // namespace calor::bench
