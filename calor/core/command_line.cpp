#include "calor/core/command_line.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace calor {

std::string command_line(const std::vector<std::string>& words) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./=,:+@%").find(c) != std::string_view::npos;
  };
  std::string line = "calor";
  for (const auto& word : words) {
    if (!word.empty() && std::ranges::all_of(word, is_plain)) {
      line += " " + word;
      continue;
    }
    line += " '";
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += "'";
  }
  return line;
}

}  // namespace calor
