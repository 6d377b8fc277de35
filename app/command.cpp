#include "app/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
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

CLI::Validator seed_number() {
  return {[](std::string& text) -> std::string {
            constexpr std::size_t most_digits = 18;
            const bool digits = !text.empty() && std::ranges::all_of(text, [](char c) {
              return c >= '0' && c <= '9';
            });
            if (digits && text.size() <= most_digits) return {};
            return "'" + text + "' is no whole number from 0 to 999999999999999999";
          },
          "from 0 to 10^18 - 1"};
}

void check_apart(const char* flag, const std::string& file,
                 const std::vector<std::string>& others) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const std::string& other : others) {
    if (file.empty() || other.empty()) continue;
    if (!fs::equivalent(file, other, ignored) &&
        fs::weakly_canonical(file, ignored) != fs::weakly_canonical(other, ignored)) {
      continue;
    }
    throw usage_error(fmt::format("{} beside the files that are read or written", flag),
                      fmt::format("'{}', which is one of them", file), "name another file");
  }
}

std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

namespace {

bool is_finite_text(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return end == text.c_str() || std::isfinite(number);
}

// An empty word is most often a variable of the shell that was never set; what is no number passes
// every check of a range.
void check_values(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || option->get_expected_max() == 0) continue;
    const std::string name = option->get_positional() ? option->get_name(true) : option->get_name();
    const bool number = option->get_type_name().find("FLOAT") != std::string::npos;
    for (const std::string& text : option->results()) {
      require_usage(!text.empty(), "a value for " + name, "an empty one",
                    "say what it is, or leave it out");
      require_usage(!number || is_finite_text(text), "a number for " + name,
                    fmt::format("'{}'", text), "give a finite number");
    }
  }
}

}  // namespace

void set_work(CLI::App& command, Globals& globals, Work work) {
  command.callback([&command, &globals, work = std::move(work)] {
    check_values(command);
    const nlohmann::ordered_json result = work();
    if (globals.json) std::printf("%s\n", json_text(result).c_str());
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
  const std::filesystem::path place = file;
  const bool is_folder = !place.has_filename();  // "bags/", which is made in its own folder
  std::filesystem::path folder = (is_folder ? place.parent_path() : place).parent_path();
  if (folder.empty()) folder = ".";
  std::error_code ignored;
  const bool other =
      std::filesystem::exists(folder, ignored) && !std::filesystem::is_directory(folder, ignored);
  if (!other && access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw usage_error(fmt::format("a folder that can be written for {}", flag),
                    fmt::format("{}: {}", folder.string(),
                                other ? "no folder, but a file" : system_error_text(errno)),
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
