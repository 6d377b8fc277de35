// The stages of a chain trained at once: one process for each, several at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace calor::app {

// Runs `arguments_of(stage)` (the arguments of this same program) for stages 1 to `stages`, at most
// `at_once` at a time. Passes SIGINT and SIGTERM on to the children and waits for them. Returns
// their exit statuses in order; stages that were not begun because of a signal or a failure have
// -1.
std::vector<int> run_stage_processes(
    std::int64_t stages, std::int64_t at_once,
    const std::function<std::vector<std::string>(std::int64_t stage)>& arguments_of);

}  // namespace calor::app
