# Writes a C++ source that holds every preset and every experiment:
#   cmake -DCONFIGS_DIR=<configs> -DOUTPUT=<presets.cpp> -P EmbedPresets.cmake
#
# Compilers may refuse string literals above 64 kB, so a text becomes pieces of at most 8 kB, each ending at a line's
# end, which are joined when first used.

cmake_minimum_required(VERSION 3.25)
set(piece_bytes 8192)
set(delimiter "calor")

# The text as comma-separated raw string literals.
function(as_pieces text out)
  set(pieces "")
  string(LENGTH "${text}" left)
  while(left GREATER 0)
    set(take ${left})
    if(left GREATER piece_bytes)
      string(SUBSTRING "${text}" 0 ${piece_bytes} head)
      string(FIND "${head}" "\n" last_newline REVERSE)
      if(last_newline LESS 0)
        message(FATAL_ERROR "a line of more than ${piece_bytes} bytes")
      endif()
      math(EXPR take "${last_newline} + 1")
    endif()
    string(SUBSTRING "${text}" 0 ${take} head)
    string(SUBSTRING "${text}" ${take} -1 text)
    string(APPEND pieces "R\"${delimiter}(${head})${delimiter}\",\n")
    string(LENGTH "${text}" left)
  endwhile()
  set(${out} "${pieces}" PARENT_SCOPE)
endfunction()

# The entries of all TOML files of a folder, sorted by name.
function(entries_of folder out)
  file(GLOB files "${folder}/*.toml")
  list(SORT files)
  set(entries "")
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WLE)
    file(READ "${file}" text)
    string(FIND "${text}" ")${delimiter}\"" clash)
    if(NOT clash EQUAL -1)
      message(FATAL_ERROR "${file}: holds )${delimiter}\", which ends the literal that it is embedded in")
    endif()
    as_pieces("${text}" pieces)
    string(APPEND entries "Preset{\"${name}\", join({\n${pieces}})},\n")
  endforeach()
  set(${out} "${entries}" PARENT_SCOPE)
endfunction()

entries_of("${CONFIGS_DIR}" presets)
entries_of("${CONFIGS_DIR}/experiments" experiments)

set(source [==[
// Made from configs/*.toml by cmake/EmbedPresets.cmake: change those, not this.
#include "calor/config/presets.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calor {
namespace {

struct Preset {
  std::string_view name;
  std::string text;
};

[[maybe_unused]] std::string join(std::initializer_list<std::string_view> pieces) {
  std::string text;
  for (std::string_view piece : pieces) text += piece;
  return text;
}

using Views = std::vector<std::pair<std::string_view, std::string_view>>;

Views views_of(const std::vector<Preset>& texts) {
  Views result;
  for (const Preset& preset : texts) result.emplace_back(preset.name, preset.text);
  return result;
}

}  // namespace

const Views& embedded_presets() {
  static const std::vector<Preset> texts = {
@PRESETS@  };
  static const Views views = views_of(texts);
  return views;
}

const Views& embedded_experiments() {
  static const std::vector<Preset> texts = {
@EXPERIMENTS@  };
  static const Views views = views_of(texts);
  return views;
}

}  // namespace calor
]==])
string(REPLACE "@PRESETS@" "${presets}" source "${source}")
string(REPLACE "@EXPERIMENTS@" "${experiments}" source "${source}")
file(WRITE "${OUTPUT}" "${source}")
