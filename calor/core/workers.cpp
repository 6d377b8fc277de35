#include "calor/core/workers.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "calor/core/one_thread.h"
#include "calor/core/threads.h"

namespace calor {

struct Workers::State {
  std::mutex mutex;
  std::condition_variable changed;
  const std::function<void(std::int64_t)>* work = nullptr;
  std::int64_t count = 0, next = 0, unfinished = 0;
  std::vector<std::exception_ptr> errors;
  bool stop = false;
  std::vector<std::thread> threads;  // last, so that threads see complete members

  explicit State(int wanted) {
    start_threads(
        threads, wanted, [this] { serve(); }, [this] { shut_down(); },
        "threads that compute side by side",
        "give fewer --threads, or --workers where a command has them, or raise the limit on "
        "threads or memory");
  }
  ~State() { shut_down(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  State(State&&) = delete;
  State& operator=(State&&) = delete;

  void shut_down() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  // Holds the lock but while it works.
  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stop || next < count; });
      if (stop) return;
      const std::int64_t item = next++;
      lock.unlock();
      std::exception_ptr error;
      try {
        (*work)(item);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      errors[static_cast<std::size_t>(item)] = error;
      if (--unfinished == 0) changed.notify_all();
    }
  }
};

Workers::Workers(int threads) : state_(std::make_unique<State>(threads)) {}

Workers::~Workers() = default;

void Workers::run(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  const OneThread one;  // the workers take this number
  std::unique_lock lock(state_->mutex);
  state_->work = &work;
  state_->errors.assign(static_cast<std::size_t>(count), nullptr);
  state_->next = 0;
  state_->unfinished = count;
  state_->count = count;
  state_->changed.notify_all();
  state_->changed.wait(lock, [&] { return state_->unfinished == 0; });
  state_->count = state_->next = 0;
  for (const std::exception_ptr& error : state_->errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace calor
