// The presets and experiments of configs/, built into the program.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calor {

// (name, TOML text) of every file in configs/, sorted by name; generated at build time.
const std::vector<std::pair<std::string_view, std::string_view>>& embedded_presets();
// The same of configs/experiments/.
const std::vector<std::pair<std::string_view, std::string_view>>& embedded_experiments();

}  // namespace calor

namespace calor::config {

// The preset's text; UsageError with the nearest name where there is none.
std::string_view preset(std::string_view name);
bool is_preset(std::string_view name);
// The first comment paragraph of a preset: what it is for.
std::string preset_summary(std::string_view toml);

}  // namespace calor::config
