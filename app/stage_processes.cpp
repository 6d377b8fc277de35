#include "app/stage_processes.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <map>
#include <string>

#include "calor/core/error.h"
#include "calor/core/signals.h"

namespace calor::app {
namespace {

pid_t start(const std::vector<std::string>& arguments) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), environ);
  if (failed != 0) {
    throw Error("a process for a stage", system_error_text(failed),
                "close other programs, or train without --parallel");
  }
  return child;
}

int status_of(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

}  // namespace

std::vector<int> run_stage_processes(
    std::int64_t stages, std::int64_t at_once,
    const std::function<std::vector<std::string>(std::int64_t stage)>& arguments_of) {
  std::vector<int> statuses(static_cast<std::size_t>(stages), -1);
  std::map<pid_t, std::int64_t> running;
  std::int64_t next = 1;
  bool failed = false;
  bool told = false;
  while (next <= stages || !running.empty()) {
    const bool stop = failed || interrupted();
    if (stop && running.empty()) break;
    if (!stop && next <= stages && static_cast<std::int64_t>(running.size()) < at_once) {
      running[start(arguments_of(next))] = next;
      ++next;
      continue;
    }
    if (interrupted() && !told) {
      for (const auto& [child, stage] : running) kill(child, SIGTERM);
      told = true;
    }
    int raw = 0;
    const pid_t ended = waitpid(-1, &raw, WNOHANG);
    if (ended <= 0) {
      const timespec pause{0, 50'000'000};
      nanosleep(&pause, nullptr);
      continue;
    }
    const auto found = running.find(ended);
    if (found == running.end()) continue;
    statuses[static_cast<std::size_t>(found->second - 1)] = status_of(raw);
    failed = failed || status_of(raw) != 0;
    running.erase(found);
  }
  return statuses;
}

}  // namespace calor::app
