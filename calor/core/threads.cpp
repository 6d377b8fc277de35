#include "calor/core/threads.h"

#include <fmt/format.h>

#include <exception>

#include "calor/core/error.h"

namespace calor {

void start_threads(std::vector<std::thread>& threads, int wanted, const std::function<void()>& work,
                   const std::function<void()>& shut_down, const std::string& what,
                   const std::string& hint) {
  try {
    for (int i = 0; i < wanted; ++i) threads.emplace_back(work);
  } catch (const std::exception& error) {
    const std::size_t started = threads.size();
    shut_down();
    throw Error(fmt::format("{} {}", wanted, what),
                fmt::format("{} could be started: {}", started, error.what()), hint);
  }
}

}  // namespace calor
