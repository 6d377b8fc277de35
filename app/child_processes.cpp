#include "app/child_processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <map>

#include "calor/core/error.h"
#include "calor/core/signals.h"

namespace calor::app {
namespace {

// What posix_spawn is to do with the child before it begins.
class Start {
 public:
  explicit Start(const ChildProcess& child) {
    posix_spawn_file_actions_init(&files_);
    posix_spawnattr_init(&attributes_);
    send(STDOUT_FILENO, child.output, O_TRUNC);
    send(STDERR_FILENO, child.log, O_APPEND);
    // A group of its own: Ctrl-C would reach it from the terminal and again from here, and the
    // second signal ends a process at once.
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes_, 0);
  }
  ~Start() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;

  pid_t run(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    const int failed = posix_spawn(&pid, argv.front(), &files_, &attributes_, argv.data(), environ);
    if (failed != 0) {
      throw Error("another process of this program", system_error_text(failed),
                  "close other programs, or run fewer at once");
    }
    return pid;
  }

 private:
  void send(int descriptor, const std::filesystem::path& file, int how) {
    if (file.empty()) return;
    posix_spawn_file_actions_addopen(&files_, descriptor, file.c_str(), O_WRONLY | O_CREAT | how,
                                     0644);
  }

  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

pid_t start(const ChildProcess& child) {
  std::vector<std::string> words{std::filesystem::read_symlink("/proc/self/exe").string()};
  words.insert(words.end(), child.arguments.begin(), child.arguments.end());
  return Start(child).run(std::move(words));
}

int status_of(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

void wait_a_little() {
  const timespec pause{0, 50'000'000};
  nanosleep(&pause, nullptr);
}

}  // namespace

void run_children(std::int64_t at_once, const std::function<std::optional<ChildProcess>()>& next,
                  const std::function<void(std::size_t, int)>& ended) {
  std::map<pid_t, std::size_t> running;
  bool told = false;
  bool asked = false;  // `next` had nothing, and nothing has ended since
  while (true) {
    if (interrupted() && !told) {
      for (const auto& [pid, id] : running) kill(pid, SIGTERM);
      told = true;
    }
    if (!told && !asked && static_cast<std::int64_t>(running.size()) < at_once) {
      const auto child = next();
      asked = !child;
      if (child) {
        running[start(*child)] = child->id;
        continue;
      }
    }
    if (running.empty()) return;
    int raw = 0;
    const pid_t pid = waitpid(-1, &raw, WNOHANG);
    const auto found = running.find(pid);
    if (found == running.end()) {
      wait_a_little();
      continue;
    }
    const std::size_t id = found->second;
    running.erase(found);
    ended(id, status_of(raw));
    asked = false;
  }
}

}  // namespace calor::app
