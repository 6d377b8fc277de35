#include "calor/report/metrics_log.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "calor/io/atomic_file.h"

namespace calor::report {
namespace {

bool belongs(const std::string& line, std::int64_t resume_step) {
  const auto entry = nlohmann::json::parse(line, nullptr, false);
  return entry.is_object() && entry.contains("step") && entry["step"].is_number_integer() &&
         entry["step"].get<std::int64_t>() <= resume_step;
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path file, std::int64_t resume_step)
    : file_(std::move(file)) {
  std::error_code ignored;
  if (!std::filesystem::exists(file_, ignored)) return;
  std::istringstream old(io::read_text(file_, std::uint64_t{1} << 32));
  std::string kept;
  for (std::string line; std::getline(old, line);) {
    if (belongs(line, resume_step)) kept += line + "\n";
  }
  if (kept != old.str()) io::write_file_atomically(file_, kept);
}

void MetricsLog::append(std::int64_t step,
                        const std::vector<std::pair<const char*, double>>& values) {
  nlohmann::ordered_json entry{{"step", step}};
  for (const auto& [name, value] : values) {
    if (std::isfinite(value)) {
      entry[name] = value;
    } else {
      entry[name] = nullptr;
    }
  }
  io::append_line(file_, entry.dump());
}

}  // namespace calor::report
