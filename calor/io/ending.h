// The endings of file names, by which formats are told apart, whatever their letters' size.
#pragma once

#include <filesystem>
#include <string>

namespace calor::io {

// In small letters, with the point: ".png" for A.PNG, ".gz" for a.tar.gz, empty for none.
std::string ending_of(const std::filesystem::path& path);

// The file's name in small letters, for endings of two parts.
std::string name_in_small_letters(const std::filesystem::path& path);

// What people write either way.
std::string in_small_letters(std::string text);

}  // namespace calor::io
