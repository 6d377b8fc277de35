#include "app/run_lock.h"

#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"

namespace calor::app {

RunLock::RunLock(const std::filesystem::path& run, Kind kind, std::int64_t stage) {
  using io::FileLock;
  lock(run, kind == Kind::one_stage ? FileLock::Kind::shared : FileLock::Kind::exclusive);
  if (kind == Kind::whole_run) return;
  const auto folder = run / "stages" / std::to_string(stage);
  io::make_folder(folder);
  lock(folder, FileLock::Kind::exclusive);
}

void RunLock::lock(const std::filesystem::path& folder, io::FileLock::Kind kind) {
  auto lock = io::FileLock::try_lock(folder / "run.lock", kind);
  if (!lock) {
    throw Error("a run folder that no other calor works in",
                fmt::format("{} is locked by one that runs", folder.string()),
                "wait for it, stop it, or choose another folder with --run");
  }
  locks_.push_back(std::move(*lock));
}

}  // namespace calor::app
