#include "calor/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::io {
namespace {

struct TypeName {
  const char* name;
  at::ScalarType type;
};

constexpr std::array<TypeName, 10> type_names{{{"F64", at::kDouble},
                                               {"F32", at::kFloat},
                                               {"F16", at::kHalf},
                                               {"BF16", at::kBFloat16},
                                               {"I64", at::kLong},
                                               {"I32", at::kInt},
                                               {"I16", at::kShort},
                                               {"I8", at::kChar},
                                               {"U8", at::kByte},
                                               {"BOOL", at::kBool}}};

void check_names(const SafetensorsHeader& header, const std::string& file) {
  std::vector<std::string_view> names;
  names.reserve(header.entries.size());
  for (const auto& entry : header.entries) names.emplace_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    refuse_safetensors("each tensor once", file,
                       fmt::format("the key {} twice", printable(*twice)));
  }
}

void check_length(const SafetensorsEntry& entry, const std::string& file) {
  const auto bytes = array_bytes(entry.shape, c10::elementSize(entry.type));
  if (!bytes) {
    refuse_safetensors(
        "a tensor of fewer than 2^63 bytes", file,
        fmt::format("tensor {} of shape {}", printable(entry.name), shape_text(entry.shape)));
  }
  if (entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    refuse_safetensors(
        fmt::format("{} bytes for {} of shape {}", *bytes, safetensors_type_name(entry.type),
                    shape_text(entry.shape)),
        file,
        fmt::format("tensor {} at bytes {} to {}", printable(entry.name), entry.begin, entry.end));
  }
}

// Sorted by place, the tensors must follow each other without gap or overlap and fill the data.
void check_cover(const SafetensorsHeader& header, std::uint64_t data_bytes,
                 const std::string& file) {
  std::vector<std::size_t> order(header.entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto& first = header.entries[a];
    const auto& second = header.entries[b];
    return std::tie(first.begin, first.end) < std::tie(second.begin, second.end);
  });
  std::uint64_t covered = 0;
  for (const std::size_t i : order) {
    const auto& entry = header.entries[i];
    if (entry.begin != covered) {
      refuse_safetensors(fmt::format("a tensor that begins at byte {} of the data", covered), file,
                         fmt::format("tensor {} begins at {}", printable(entry.name), entry.begin));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    refuse_safetensors(fmt::format("{} bytes of data, as the header says", covered), file,
                       fmt::format("{} bytes", data_bytes));
  }
}

// torch.save writes a zip archive, older versions and pickle itself begin with the pickle protocol.
bool looks_like_pickle(std::string_view start) {
  return start.starts_with("PK\x03\x04") ||
         (start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5);
}

[[noreturn]] void refuse_pickle(const std::string& file) {
  throw Error(
      "a safetensors file",
      file + ": a pickle (torch.save), which can run any program when it is read",
      "convert it where you trust it: python -c \"import sys, torch, safetensors.torch as s; "
      "s.save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])\" IN.pt "
      "OUT.safetensors");
}

// The length of the header, from the first 9 bytes of the file.
std::uint64_t header_length(std::string_view start, std::uint64_t file_size,
                            const std::string& file) {
  const bool whole = start.size() == 9;
  const auto length = whole ? little_endian<std::uint64_t>(as_bytes(start)) : 0;
  const bool fits = length >= 2 && length <= safetensors_max_header && length <= file_size - 8;
  if (whole && fits && start[8] == '{') return length;
  if (looks_like_pickle(start)) refuse_pickle(file);
  if (!whole)
    refuse_safetensors("a safetensors file of at least 10 bytes", file,
                       fmt::format("{} bytes", file_size));
  if (!fits) {
    refuse_safetensors(
        fmt::format("a header of 2 to {} bytes", std::min(safetensors_max_header, file_size - 8)),
        file, fmt::format("a header length of {} in a file of {} bytes", length, file_size));
  }
  refuse_safetensors("a header that begins with {", file,
                     fmt::format("a header that begins with {}", printable(start.substr(8))));
}

}  // namespace

void refuse_safetensors(const std::string& expected, const std::string& file,
                        const std::string& found) {
  throw Error(expected, file + ": " + found,
              "the file is damaged or not a safetensors file: copy or save it again");
}

const char* safetensors_type_name(at::ScalarType type) {
  for (const auto& known : type_names) {
    if (known.type == type) return known.name;
  }
  return nullptr;
}

std::optional<at::ScalarType> safetensors_type(std::string_view name) {
  for (const auto& known : type_names) {
    if (name == known.name) return known.type;
  }
  return std::nullopt;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           const std::string& file) {
  SafetensorsHeader header;
  parse_safetensors_json(json, header, file);
  check_names(header, file);
  for (const auto& entry : header.entries) check_length(entry, file);
  check_cover(header, data_bytes, file);
  return header;
}

SafetensorsHeader read_safetensors_header(const File& file) {
  const std::string name = file.path().string();
  const std::uint64_t size = file.size();
  std::string start(std::min<std::uint64_t>(9, size), '\0');
  file.read_exactly(0, std::as_writable_bytes(std::span(start)));
  const std::uint64_t length = header_length(start, size, name);
  std::string json(length, '\0');
  file.read_exactly(8, std::as_writable_bytes(std::span(json)));
  SafetensorsHeader header = parse_safetensors_header(json, size - 8 - length, name);
  header.data_offset = 8 + length;
  return header;
}

}  // namespace calor::io
