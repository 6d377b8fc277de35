// The JSON header of a safetensors file, turned into checked entries: whoever holds one may use its
// offsets and shapes without a second thought.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calor/io/file.h"

namespace calor::io {

constexpr std::uint64_t safetensors_max_header = 100'000'000;
constexpr std::size_t safetensors_max_tensors = 1'000'000;
constexpr std::size_t safetensors_max_name = 4096;
constexpr std::size_t safetensors_max_rank = 64;

struct SafetensorsEntry {
  std::string name;
  at::ScalarType type{};
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // in bytes from the start of the data
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the header
  std::map<std::string, std::string> metadata;
  std::uint64_t data_offset = 0;  // of the data in the file
};

// "F32" for at::kFloat; null where the format (as Calor reads it) lacks the type.
const char* safetensors_type_name(at::ScalarType type);
std::optional<at::ScalarType> safetensors_type(std::string_view name);

// Reads and checks the header against itself and against the size of the file.
SafetensorsHeader read_safetensors_header(const File& file);

// The header's text checked against the `data_bytes` that follow it.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           const std::string& file);

// Fills entries and metadata from the text; what the entries promise is not checked yet.
void parse_safetensors_json(std::string_view json, SafetensorsHeader& header,
                            const std::string& file);

[[noreturn]] void refuse_safetensors(const std::string& expected, const std::string& file,
                                     const std::string& found);

}  // namespace calor::io
