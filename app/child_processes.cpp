#include "app/child_processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <utility>

#include "calor/core/error.h"
#include "calor/core/signals.h"

namespace calor::app {
namespace {

constexpr const char* parent_variable = "CALOR_PARENT_PROCESS";

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
  setenv(parent_variable, std::to_string(getpid()).c_str(), /*overwrite=*/1);
  return Start(child).run(std::move(words));
}

int status_of(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

void wait_a_little() {
  const timespec pause{0, 50'000'000};
  nanosleep(&pause, nullptr);
}

// The processes that run, and what each is told and asked.
class Children {
 public:
  Children(const std::function<std::optional<ChildProcess>()>& next,
           const std::function<void(std::size_t, int)>& ended)
      : next_(next), ended_(ended) {}

  void run(std::int64_t at_once) {
    while (true) {
      if (interrupted() && !told_) stop();
      const bool room = static_cast<std::int64_t>(running_.size()) < at_once;
      if (room && !told_ && !asked_ && begin_next()) continue;
      if (running_.empty()) return;
      if (const auto end = wait_for_one(WNOHANG)) {
        ended_(end->first, end->second);
        asked_ = false;
      } else {
        wait_a_little();
      }
    }
  }

  void stop() {
    for (const auto& [pid, id] : running_) kill(pid, SIGTERM);
    told_ = true;
  }

  void stop_and_wait() {
    stop();
    while (!running_.empty()) wait_for_one(0);
  }

 private:
  bool begin_next() {
    const auto child = next_();
    asked_ = !child;
    if (child) running_[start(*child)] = child->id;
    return child.has_value();
  }

  std::optional<std::pair<std::size_t, int>> wait_for_one(int how) {
    int raw = 0;
    const pid_t pid = waitpid(-1, &raw, how);
    if (pid < 0 && errno == ECHILD) lost();
    const auto found = running_.find(pid);
    if (found == running_.end()) return {};
    const std::size_t id = found->second;
    running_.erase(found);
    return std::pair(id, status_of(raw));
  }

  // They are known no more: neither to be waited for nor to be stopped.
  [[noreturn]] void lost() {
    const std::size_t count = running_.size();
    running_.clear();
    throw Error(fmt::format("the exit status of {} processes that this one began", count),
                "the system has none of them any more",
                "give the same command again: what they have saved is kept");
  }

  const std::function<std::optional<ChildProcess>()>& next_;
  const std::function<void(std::size_t, int)>& ended_;
  std::map<pid_t, std::size_t> running_;
  bool told_ = false;   // to stop
  bool asked_ = false;  // `next` had nothing, and nothing has ended since
};

}  // namespace

void end_with_parent() {
  const char* parent = std::getenv(parent_variable);
  if (parent == nullptr) return;
  const std::string wanted = parent;
  unsetenv(parent_variable);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (std::to_string(getppid()) != wanted) raise(SIGTERM);  // it has ended before this
}

void run_children(std::int64_t at_once, const std::function<std::optional<ChildProcess>()>& next,
                  const std::function<void(std::size_t, int)>& ended) {
  // Whoever began this process may have had it ignore SIGCHLD: then the system forgets a child as
  // soon as it ends, and its exit status with it.
  std::signal(SIGCHLD, SIG_DFL);
  Children children(next, ended);
  try {
    children.run(at_once);
  } catch (...) {
    children.stop_and_wait();
    throw;
  }
}

}  // namespace calor::app
