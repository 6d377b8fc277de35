// metrics.jsonl: one JSON object a line, in order of steps, without repeats after a resume.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

namespace calor::report {

class MetricsLog {
 public:
  // Drops lines of steps after `resume_step` (they will be made again) and a torn last line.
  MetricsLog(std::filesystem::path file, std::int64_t resume_step);

  // Appends {"step": step, name: value, ...}. Values that are not finite become null.
  void append(std::int64_t step, const std::vector<std::pair<const char*, double>>& values);

 private:
  std::filesystem::path file_;
};

}  // namespace calor::report
