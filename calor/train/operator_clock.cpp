#include "calor/train/operator_clock.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace calor::train {
namespace {

using Clock = std::chrono::steady_clock;

struct Sums {
  std::mutex mutex;
  std::map<std::string, OperatorTime> by_name;
};
Sums* sums = nullptr;  // of the clock that lives
at::CallbackHandle handle{};

struct Running;
thread_local Running* innermost = nullptr;

// An operator between its beginning and its end, which come in order on one thread.
struct Running final : at::ObserverContext {
  Running() : outer(innermost) { innermost = this; }
  Running* outer;
  Clock::duration inside{};  // spent in operators that this one called
  Clock::time_point start = Clock::now();
};

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& /*function*/) {
  return std::make_unique<Running>();
}

void on_end(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto* running = static_cast<const Running*>(context);
  const Clock::duration taken = Clock::now() - running->start;
  innermost = running->outer;
  if (innermost != nullptr) innermost->inside += taken;
  if (sums == nullptr) return;
  const std::lock_guard lock(sums->mutex);
  OperatorTime& time = sums->by_name[function.name()];
  ++time.count;
  time.seconds += std::chrono::duration<double>(taken - running->inside).count();
}

}  // namespace

std::vector<OperatorTime> longest_first(const std::map<std::string, OperatorTime>& by_name) {
  std::vector<OperatorTime> all;
  for (const auto& [name, time] : by_name) {
    all.push_back(time);
    all.back().name = name;
  }
  std::ranges::sort(all, std::greater(), &OperatorTime::seconds);
  return all;
}

OperatorClock::OperatorClock() {
  sums = new Sums;
  handle = at::addGlobalCallback(
      at::RecordFunctionCallback(on_start, on_end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

OperatorClock::~OperatorClock() {
  at::removeCallback(handle);
  delete sums;
  sums = nullptr;
}

std::vector<OperatorTime> OperatorClock::times() const {
  const std::lock_guard lock(sums->mutex);
  return longest_first(sums->by_name);
}

}  // namespace calor::train
