// Threads that are started together, or not at all.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace calor {

// Adds `wanted` threads that do `work` to `threads`. Where the system refuses one, `shut_down` has
// to end those that were started, and what follows is an Error about `what` ("threads that ..")
// with this hint.
void start_threads(std::vector<std::thread>& threads, int wanted, const std::function<void()>& work,
                   const std::function<void()>& shut_down, const std::string& what,
                   const std::string& hint);

}  // namespace calor
