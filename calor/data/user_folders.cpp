// The user's cache folder, from the environment alone; nothing is created here.
#include "calor/data/user_folders.h"

#include <cstdlib>

namespace calor::data {

std::filesystem::path user_cache_folder() {
  // The specification says to ignore relative paths.
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && std::filesystem::path(cache).is_absolute()) {
    return std::filesystem::path(cache) / "calor";
  }
  const char* home = std::getenv("HOME");
  if (home != nullptr && std::filesystem::path(home).is_absolute()) {
    return std::filesystem::path(home) / ".cache" / "calor";
  }
  return {};
}

}  // namespace calor::data
