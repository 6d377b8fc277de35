#include "app/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"

namespace calor::app {

RunLock::RunLock(const std::filesystem::path& run, Kind kind, std::int64_t stage) {
  lock(run / "run.lock", kind == Kind::one_stage, run);
  if (kind == Kind::whole_run) return;
  const auto folder = run / "stages" / std::to_string(stage);
  io::make_folder(folder);
  lock(folder / "run.lock", false, folder);
}

void RunLock::lock(const std::filesystem::path& file, bool shared,
                   const std::filesystem::path& run) {
  const int descriptor = open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    throw Error("a run folder that can be written",
                fmt::format("{}: {}", file.string(), system_error_text(errno)),
                "choose another folder with --run, or repair its permissions");
  }
  descriptors_.push_back(descriptor);
  if (flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return;
  throw Error("a folder that no other calor works in",
              fmt::format("{} is locked by one that runs", run.string()),
              "wait for it, stop it, or choose another folder with --run");
}

RunLock::~RunLock() {
  for (const int descriptor : descriptors_) close(descriptor);
}

}  // namespace calor::app
