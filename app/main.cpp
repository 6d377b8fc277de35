// The program proper: trains, samples and describes flow-matching generative models.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "app/child_processes.h"
#include "app/command.h"
#include "app/static_answers.h"
#include "calor/core/error.h"
#include "calor/core/out_of_memory.h"
#include "calor/core/version.h"

namespace {

using calor::app::Globals;

// An error in three parts for people, and as an object where --json was asked for.
int report(const Globals& globals, const calor::Error& error) {
  std::fprintf(stderr, "calor: error\n%s\n", error.what());
  if (globals.json) {
    const nlohmann::ordered_json object{{"error",
                                         {{"expected", error.expected()},
                                          {"found", error.found()},
                                          {"hint", error.hint()},
                                          {"exit_status", error.exit_status()}}}};
    std::printf("%s\n", calor::app::json_text(object).c_str());
  }
  return error.exit_status();
}

// Help and version end well; anything else that the command line's parser says is wrong usage.
int report(const CLI::App& program, const Globals& globals, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return program.exit(error);
  return report(globals,
                calor::usage_error("a command line that 'calor --help' describes", error.what(),
                                   "see 'calor COMMAND --help', which ends with examples"));
}

calor::Error unexpected(const std::exception& error) {
  if (calor::is_out_of_memory(error)) {
    return {"enough memory", "an allocation was refused",
            "take fewer (--count), a smaller batch (train.micro_batch, --batch), smaller pictures "
            "(data.size) or a smaller model"};
  }
  // The first line: LibTorch appends a stack trace.
  const std::string what = error.what();
  return {"the work to go through", what.substr(0, what.find('\n')),
          "if the input is in order this is a fault of Calor: please report it with the command"};
}

// The parser would only say that a subcommand is missing.
void check_command(const CLI::App& program, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands({})) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return;
  const std::string nearest = calor::nearest_name(argv[1], names);
  throw calor::usage_error(
      fmt::format("a command: {}", fmt::join(names, ", ")), fmt::format("'{}'", argv[1]),
      nearest.empty() ? "see calor --help" : fmt::format("did you mean '{}'?", nearest));
}

// The help of a command and of those below it, as launcher.cpp finds them.
void write_help(std::FILE* file, const CLI::App& command, const std::string& above) {
  const std::string key = above.empty() ? command.get_name() : above + " " + command.get_name();
  std::fprintf(file, "\f%s\n%s", key.c_str(), command.help(above).c_str());
  for (const CLI::App* below : command.get_subcommands({})) write_help(file, *below, key);
}

// For the build alone: `calor --write-help FILE`.
int write_all_help(const CLI::App& program, const char* path) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) return 1;
  write_help(file, program, "");
  for (const auto& [words, text] : calor::app::static_answers()) {
    std::fprintf(file, "\f= %s\n%s", words.c_str(), text.c_str());
  }
  return std::fclose(file) == 0 ? 0 : 1;
}

// An answer that a full disk has swallowed is none.
void check_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw calor::Error("standard output that takes the answer", calor::system_error_text(errno),
                     "free some space, or write it to another place");
}

}  // namespace

// What launcher.cpp calls.
extern "C" int calor_main(int argc, char** argv) {
  calor::app::end_with_parent();
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is then an error like a full disk
  Globals globals;
  CLI::App program("Trains, samples and describes flow-matching generative models.", "calor");
  program.set_version_flag("--version", fmt::format("calor {}", calor::version));
  program.require_subcommand(1);
  program.footer(
      "Examples:\n  calor train hdfm-glyphs\n  calor sample runs/hdfm-glyphs --out grid.png");
  calor::app::add_train(program, globals);
  calor::app::add_distill(program, globals);
  calor::app::add_sample(program, globals);
  calor::app::add_restore(program, globals);
  calor::app::add_score(program, globals);
  calor::app::add_evaluate(program, globals);
  calor::app::add_experiment(program, globals);
  calor::app::add_plot(program, globals);
  calor::app::add_rollout(program, globals);
  calor::app::add_bench(program, globals);
  calor::app::add_convert(program, globals);
  calor::app::add_info(program, globals);
  calor::app::add_presets(program, globals);
  calor::app::add_data(program, globals);
  if (argc == 3 && std::string_view(argv[1]) == "--write-help") {
    return write_all_help(program, argv[2]);
  }
  // Before the parser sees it, so that what the parser refuses is said as JSON, too.
  const auto is_json = [](std::string_view word) { return word == "--json"; };
  globals.json = std::any_of(argv + 1, argv + argc, is_json);
  try {
    check_command(program, argc, argv);
    program.parse(argc, argv);
    check_output();
    return 0;
  } catch (const CLI::ParseError& error) {
    return report(program, globals, error);
  } catch (const calor::Error& error) {
    return report(globals, error);
  } catch (const std::exception& error) {
    return report(globals, unexpected(error));
  }
}
