#include "calor/io/ending.h"

#include <algorithm>
#include <cctype>

namespace calor::io {

std::string in_small_letters(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string ending_of(const std::filesystem::path& path) {
  return in_small_letters(path.extension().string());
}

std::string name_in_small_letters(const std::filesystem::path& path) {
  return in_small_letters(path.filename().string());
}

}  // namespace calor::io
