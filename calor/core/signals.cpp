#include "calor/core/signals.h"

#include <csignal>

#include <array>
#include <atomic>
#include <utility>

namespace calor {
namespace {

std::atomic<int> signals_seen{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");
// Asks for a stop; SIGHUP is a terminal that is closed.
constexpr std::array asking = {SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, asking.size()> previous{};
struct sigaction previous_pipe {};

void on_signal(int number) {
  if (signals_seen.fetch_add(1) == 0) return;
  std::signal(number, SIG_DFL);  // the second one ends the process as if nobody listened
  std::raise(number);
}

// Nobody reads any more: asks for a stop, too, but each further line must not count as a second
// signal while the work is being saved.
void on_closed_pipe(int /*number*/) {
  int none = 0;
  signals_seen.compare_exchange_strong(none, 1);
}

// nohup ignores SIGHUP, so that the work outlives its terminal. SIGINT is listened to all the same:
// a script's shell ignores it for what runs in the background, which only means that Ctrl-C is not
// for it; `kill -INT` still is.
bool stays_ignored(int number, const struct sigaction& before) {
  return number == SIGHUP && before.sa_handler == SIG_IGN;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < asking.size(); ++i) {
    sigaction(asking[i], nullptr, &previous[i]);
    if (!stays_ignored(asking[i], previous[i])) sigaction(asking[i], &action, nullptr);
  }
  action.sa_handler = on_closed_pipe;
  sigaction(SIGPIPE, &action, &previous_pipe);
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < asking.size(); ++i) sigaction(asking[i], &previous[i], nullptr);
  sigaction(SIGPIPE, &previous_pipe, nullptr);
}

bool interrupted() { return signals_seen.load() > 0; }

Error stopped_error(std::string expected, std::string_view when) {
  std::string found = "stopped by a signal";
  if (!when.empty()) found.append(" ").append(when);
  return {std::move(expected), std::move(found), "start it again"};
}

void stop_if_interrupted(const std::string& expected) {
  if (interrupted()) throw stopped_error(expected);
}

}  // namespace calor
