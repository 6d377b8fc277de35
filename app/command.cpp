#include "app/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "calor/core/device.h"
#include "calor/core/error.h"

namespace calor::app {

CLI::App& add_command(CLI::App& program, Globals& globals, const std::string& name,
                      const std::string& description, const std::string& examples) {
  CLI::App* command = program.add_subcommand(name, description);
  command->footer("Examples:\n" + examples);
  command->add_flag("--json", globals.json, "one JSON object on standard output");
  command->add_flag("--quiet", globals.quiet, "errors only");
  return *command;
}

void set_work(CLI::App& command, Globals& globals, Work work) {
  command.callback([&globals, work = std::move(work)] {
    const nlohmann::ordered_json result = work();
    if (globals.json) std::printf("%s\n", result.dump(2).c_str());
  });
}

void add_setting(CLI::App& command, std::vector<std::string>& settings, const std::string& flag,
                 const config::Option& option, const std::string& otherwise) {
  command.add_option_function<std::string>(
      flag,
      [&settings, key = option.key](const std::string& value) {
        settings.push_back(key + "=" + value);
      },
      fmt::format("{} (default: {})", option.text, otherwise));
}

void assign_all(config::Options& options, const std::vector<std::string>& settings) {
  for (const auto& setting : settings) options.assign(setting, "command line");
}

void SaidFlags::refuse(std::initializer_list<const char*> flags, const std::string& expected,
                       const std::string& found) const {
  for (const char* flag : flags) {
    if (!has(flag)) continue;
    throw usage_error(fmt::format("{} for {}", expected, flag), found,
                      fmt::format("leave {} out", flag));
  }
}

void check_place(const char* flag, const std::string& file,
                 std::initializer_list<const char*> endings) {
  if (file.empty()) return;
  const std::string ending = std::filesystem::path(file).extension().string();
  if (endings.size() > 0 && std::ranges::find(endings, ending) == endings.end()) {
    std::string names;
    for (const char* known : endings) {
      names += fmt::format("{}FILE{}", names.empty() ? "" : " or ", known);
    }
    throw usage_error(fmt::format("{} {}", flag, names), fmt::format("'{}'", file),
                      "give the file that ending");
  }
  std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (folder.empty()) folder = ".";
  if (access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw usage_error(fmt::format("a folder that can be written for {}", flag),
                    fmt::format("{}: {}", folder.string(), system_error_text(errno)),
                    "make the folder, or name another file");
}

void say(const Globals& globals, const std::string& line) {
  if (!globals.quiet) std::fprintf(stderr, "%s\n", line.c_str());
}

void answer(const Globals& globals, const std::string& line) {
  if (!globals.json) std::printf("%s\n", line.c_str());
}

void Machine::add_to(CLI::App& command) {
  command.add_option("--device", device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  command.add_option("--threads", threads, "threads that compute; 0: one per core")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
}

void Machine::add_with_products_to(CLI::App& command) {
  add_to(command);
  chooses_products = true;
  products.add_to(command, net::Products::automatic);
}

c10::Device Machine::apply() const {
  prepare_to_compute();
  set_threads(threads);
  const c10::Device chosen = parse_device(device);
  if (chooses_products && chosen.is_cpu()) net::use(products.value());
  return chosen;
}

}  // namespace calor::app
