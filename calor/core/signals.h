// Polite interruption: the first SIGINT, SIGTERM or SIGHUP asks long work to stop at its next safe
// point, the second ends the process. A closed pipe (`calor train 2>&1 | head`) asks for it, too; a
// SIGHUP that was ignored from the start (nohup) does not.
#pragma once

#include <string>
#include <string_view>

#include "calor/core/error.h"

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

// The error of work that such a stop left nothing of: what there should have been, and, where it
// helps, how far it came ("before the first was done").
Error stopped_error(std::string expected, std::string_view when = {});
// Throws that where a stop was asked for.
void stop_if_interrupted(const std::string& expected);

}  // namespace calor
