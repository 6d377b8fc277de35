// Two processes must not train the same thing in one run folder, or run one experiment: the second
// is refused while the first lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "calor/io/file_lock.h"

namespace calor::app {

class RunLock {
 public:
  enum class Kind {
    whole_run,  // nobody else may train there
    one_stage,  // others may train other stages
  };
  // Error where another process holds what this one needs, or the folder cannot be written.
  RunLock(const std::filesystem::path& run, Kind kind, std::int64_t stage = 0);

 private:
  void lock(const std::filesystem::path& folder, io::FileLock::Kind kind);
  std::vector<io::FileLock> locks_;
};

}  // namespace calor::app
