#include "app/static_answers.h"

#include <fmt/format.h>

#include "calor/config/presets.h"
#include "calor/core/version.h"

namespace calor::app {

std::string list_of(const std::vector<std::pair<std::string_view, std::string_view>>& texts) {
  std::string list;
  for (const auto& [name, text] : texts) {
    if (!list.empty()) list += '\n';
    list += fmt::format("{:<28} {}", name, config::preset_summary(text));
  }
  return list;
}

std::string preset_text(const std::string& name) {
  const std::string text(config::preset(name));
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

std::vector<std::pair<std::string, std::string>> static_answers() {
  std::vector<std::pair<std::string, std::string>> answers{
      {"--version", fmt::format("calor {}\n", calor::version)},
      {"presets", list_of(embedded_presets()) + "\n"},
      {"experiment", list_of(embedded_experiments()) + "\n"}};
  for (const auto& [name, text] : embedded_presets()) {
    answers.emplace_back(fmt::format("presets {}", name), preset_text(std::string(name)) + "\n");
  }
  return answers;
}

}  // namespace calor::app
