#include "calor/core/signals.h"

#include <csignal>

#include <atomic>

namespace calor {
namespace {

std::atomic<int> signals_seen{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");
struct sigaction previous_int {
}, previous_term{};

void on_signal(int number) {
  if (signals_seen.fetch_add(1) == 0) return;
  std::signal(number, SIG_DFL);  // the second one ends the process as if nobody listened
  std::raise(number);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
}

bool interrupted() { return signals_seen.load() > 0; }

}  // namespace calor
