// What the program answers to some words whatever the machine, the data and the day, so that the
// launcher can do so from a file (launcher.cpp), without loading LibTorch.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calor::app {

// Names and summaries of embedded texts, a line each, without the last line's end.
std::string list_of(const std::vector<std::pair<std::string_view, std::string_view>>& texts);
// A preset's TOML, without the last line's end; UsageError where there is none of that name.
std::string preset_text(const std::string& name);

// Words after `calor`, and what they print.
std::vector<std::pair<std::string, std::string>> static_answers();

}  // namespace calor::app
