// calor presets: what can be trained out of the box.
#include <memory>

#include "app/command.h"
#include "app/static_answers.h"
#include "calor/config/presets.h"

namespace calor::app {

void add_presets(CLI::App& program, Globals& globals) {
  auto name = std::make_shared<std::string>();
  CLI::App& command = add_command(program, globals, "presets", "List the presets, or print one.",
                                  "  calor presets\n  calor presets hdfm-glyphs > my.toml");
  command.add_option("name", *name, "print this preset's TOML");
  set_work(command, globals, [&globals, name]() -> nlohmann::ordered_json {
    if (!name->empty()) {
      answer(globals, preset_text(*name));
      return {{"name", *name}, {"toml", config::preset(*name)}};
    }
    answer(globals, list_of(embedded_presets()));
    nlohmann::ordered_json list = nlohmann::json::array();
    for (const auto& [preset, text] : embedded_presets()) {
      list.push_back({{"name", preset}, {"summary", config::preset_summary(text)}});
    }
    return {{"presets", list}};
  });
}

}  // namespace calor::app
