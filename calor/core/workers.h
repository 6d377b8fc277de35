// Threads that compute side by side, each on its own: inside them LibTorch's operators run on one
// thread.
//
// Not LibTorch's own pool, whose threads would do for this but for oneDNN: its convolutions are
// made for the pool's number of threads and wait for each other for ever inside a parallel region.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace calor {

class Workers {
 public:
  // Error where so many threads cannot be started.
  explicit Workers(int threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  Workers(Workers&&) = delete;
  Workers& operator=(Workers&&) = delete;

  // Calls work(0) ... work(count - 1), as many at a time as there are threads, and waits for all.
  // Of what they throw, that of the lowest number is thrown again.
  void run(std::int64_t count, const std::function<void(std::int64_t)>& work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace calor
