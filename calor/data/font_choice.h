// Which of the fonts on a machine are fit to teach characters: a machine may also hold symbols,
// keycaps, ornaments, other scripts, hairlines too thin for small pictures, and copies.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace calor::data {

// Font files (.ttf, .otf) under the folders, sorted by path.
std::vector<std::filesystem::path> find_font_files(
    const std::vector<std::filesystem::path>& folders);

// Of the files, in their order, those that draw every character, each in its own shape, visibly,
// and in about the shape that the other fonts give it; the first of several that draw alike.
std::vector<std::filesystem::path> choose_fonts(const std::vector<std::filesystem::path>& files,
                                                std::string_view characters);

}  // namespace calor::data
