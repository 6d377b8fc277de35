// Several processes of this same program at once: the stages of a chain, the commands of an
// experiment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace calor::app {

struct ChildProcess {
  std::size_t id = 0;
  std::vector<std::string> arguments;  // of this program
  // Files that standard output and standard error go to; empty: where this process' own go.
  std::filesystem::path output = {}, log = {};
};

// Where a process of this program began this one: SIGTERM when that ends, however it ends, so that
// nothing is left at work that nobody knows of. To be called first of all.
void end_with_parent();

// Runs what `next` gives, at most `at_once` at a time; where it has nothing, it is asked again when
// a process has ended, and all is over when none is left. Passes the first SIGINT or SIGTERM on to
// the children (which do not hear the terminal's), begins no more and waits for them. `ended` is
// told each exit status (128 + n: ended by signal n). What `next` or `ended` throws is thrown on
// when the children have been told to stop and have ended.
void run_children(std::int64_t at_once, const std::function<std::optional<ChildProcess>()>& next,
                  const std::function<void(std::size_t id, int status)>& ended);

}  // namespace calor::app
