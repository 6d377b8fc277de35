#include "calor/train/kernel_clock.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <map>
#include <set>

namespace calor::train {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

}  // namespace

KernelClock::KernelClock() {
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  const std::set<ActivityType> activities{ActivityType::CUDA};
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
}

KernelClock::~KernelClock() {
  if (counting_) profiler::disableProfiler();
}

std::vector<OperatorTime> KernelClock::times() {
  counting_ = false;
  const auto result = profiler::disableProfiler();
  std::map<std::string, OperatorTime> by_name;
  for (const profiler::KinetoEvent& event : result->events()) {
    if (event.deviceType() != c10::DeviceType::CUDA) continue;
    OperatorTime& time = by_name[event.name()];
    ++time.count;
    time.seconds += 1e-9 * static_cast<double>(event.durationNs());
  }
  return longest_first(by_name);
}

}  // namespace calor::train
