// calor presets: what can be trained out of the box.
#include <fmt/format.h>

#include <memory>

#include "app/command.h"
#include "calor/config/presets.h"

namespace calor::app {

void add_presets(CLI::App& program, Globals& globals) {
  auto name = std::make_shared<std::string>();
  CLI::App& command = add_command(program, globals, "presets", "List the presets, or print one.",
                                  "  calor presets\n  calor presets hdfm-glyphs > my.toml");
  command.add_option("name", *name, "print this preset's TOML");
  set_work(command, globals, [&globals, name]() -> nlohmann::ordered_json {
    if (!name->empty()) {
      const std::string text(config::preset(*name));
      answer(globals, text.substr(0, text.find_last_not_of('\n') + 1));
      return {{"name", *name}, {"toml", text}};
    }
    nlohmann::ordered_json list = nlohmann::json::array();
    for (const auto& [preset, text] : embedded_presets()) {
      const std::string summary = config::preset_summary(text);
      answer(globals, fmt::format("{:<28} {}", preset, summary));
      list.push_back({{"name", preset}, {"summary", summary}});
    }
    return {{"presets", list}};
  });
}

}  // namespace calor::app
