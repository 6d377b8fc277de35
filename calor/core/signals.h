// Polite interruption: the first SIGINT, SIGTERM or SIGHUP asks long work to stop at its next safe
// point, the second ends the process. A closed pipe (`calor train 2>&1 | head`) asks for it, too.
#pragma once

namespace calor {

// Installs the handlers while alive; restores the previous ones.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

// Whether a signal has asked for a stop since the first guard.
bool interrupted();

}  // namespace calor
