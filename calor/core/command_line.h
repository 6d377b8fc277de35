// Commands that are shown to people, who will paste them into a shell.
#pragma once

#include <string>
#include <vector>

namespace calor {

// "calor WORDS", quoted so that a shell reads the same words.
std::string command_line(const std::vector<std::string>& words);

}  // namespace calor
