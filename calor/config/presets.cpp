#include "calor/config/presets.h"

#include <fmt/format.h>

#include <algorithm>

#include "calor/core/error.h"

namespace calor::config {

bool is_preset(std::string_view name) {
  const auto& presets = embedded_presets();
  return std::any_of(presets.begin(), presets.end(),
                     [&](const auto& preset) { return preset.first == name; });
}

std::string_view preset(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& [known, text] : embedded_presets()) {
    if (known == name) return text;
    names.emplace_back(known);
  }
  const std::string nearest = nearest_name(name, names);
  throw usage_error("a preset, a TOML file or a run folder", fmt::format("'{}'", name),
                    nearest.empty() ? "list the presets with: calor presets"
                                    : fmt::format("did you mean '{}'?", nearest));
}

std::string preset_summary(std::string_view toml) {
  std::string summary;
  while (!toml.empty() && toml.front() == '#') {
    const auto end = std::min(toml.find('\n'), toml.size());
    std::string_view line = toml.substr(1, end - 1);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (line.empty()) break;
    summary += (summary.empty() ? "" : " ") + std::string(line);
    toml.remove_prefix(std::min(end + 1, toml.size()));
  }
  return summary;
}

}  // namespace calor::config
