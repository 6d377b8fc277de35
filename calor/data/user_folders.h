// Where Calor may keep things for a person between runs.
#pragma once

#include <filesystem>

namespace calor::data {

// $XDG_CACHE_HOME/calor, else ~/.cache/calor (XDG Base Directory Specification); empty where the
// environment names neither.
std::filesystem::path user_cache_folder();

}  // namespace calor::data
