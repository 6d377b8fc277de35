#include "calor/io/safetensors.h"

#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"
#include "calor/io/safetensors_header.h"

namespace calor::io {
namespace {

at::Tensor read_tensor(const File& file, const SafetensorsEntry& entry, std::uint64_t data_offset) {
  const std::string name = file.path().string();
  at::Tensor tensor = allocate(entry.shape, entry.type, name);
  file.read_exactly(data_offset + entry.begin, writable_bytes(tensor));
  if (entry.type == at::kBool && !are_bools(bytes_of(tensor))) {
    throw Error("bools of 0 or 1",
                fmt::format("{}: another value in tensor {}", name, printable(entry.name)),
                "the file is damaged: copy or save it again");
  }
  return tensor;
}

std::string json_text(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error("tensor names and metadata in UTF-8", printable(text),
                "use UTF-8 text, and keep bytes in a tensor");
  }
}

void check_writable(const std::string& name, const at::Tensor& tensor, const std::string& file) {
  const auto found = [&](const std::string& what) {
    return fmt::format("{}: tensor {} {}", file, printable(name), what);
  };
  if (!tensor.defined() || tensor.layout() != at::kStrided || tensor.is_quantized()) {
    throw Error("dense tensors to save", found("is undefined, sparse or quantized"),
                "make it dense first");
  }
  if (safetensors_type_name(tensor.scalar_type()) == nullptr) {
    throw Error("one of the types F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL",
                found(fmt::format("of type {}", c10::toString(tensor.scalar_type()))),
                "convert it to one of these types");
  }
  if (name == "__metadata__" || name.size() > safetensors_max_name ||
      static_cast<std::size_t>(tensor.dim()) > safetensors_max_rank) {
    throw Error(fmt::format("names of at most {} bytes other than __metadata__, and at most {} "
                            "dimensions",
                            safetensors_max_name, safetensors_max_rank),
                found(fmt::format("of shape {}", shape_text(tensor.sizes()))),
                "rename or reshape it");
  }
}

std::string header_text(const TensorFile& file, const std::string& path) {
  std::string text = "{";
  if (!file.metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : file.metadata) {
      if (text.back() != '{') text += ',';
      text += json_text(key) + ':' + json_text(value);
    }
    text += '}';
  }
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    check_writable(name, tensor, path);
    if (!names.insert(name).second) {
      throw Error("each tensor name once", fmt::format("{}: {} twice", path, printable(name)),
                  "rename one of the two");
    }
    if (text.back() != '{') text += ',';
    const std::uint64_t end = offset + tensor.nbytes();
    const std::string shape = shape_text(tensor.sizes());
    text += fmt::format(R"({}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", json_text(name),
                        safetensors_type_name(tensor.scalar_type()), shape, offset, end);
    offset = end;
  }
  return text + '}';
}

void check_counts(const TensorFile& file, const std::string& header, const std::string& path) {
  if (file.tensors.size() <= safetensors_max_tensors && header.size() <= safetensors_max_header) {
    return;
  }
  throw Error(fmt::format("at most {} tensors and {} bytes of header", safetensors_max_tensors,
                          safetensors_max_header),
              fmt::format("{}: {} tensors, {} bytes", path, file.tensors.size(), header.size()),
              "save fewer tensors in a file, or less metadata");
}

}  // namespace

const at::Tensor& TensorFile::at(const std::string& name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
  }
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const auto& [key, tensor] : tensors) names.emplace_back(key);
  const std::string nearest = nearest_name(name, names);
  throw Error("a tensor named " + printable(name),
              fmt::format("{} tensors, none of that name", tensors.size()),
              nearest.empty() ? "check that the file belongs to this network"
                              : "did you mean " + printable(nearest) + "?");
}

bool TensorFile::contains(const std::string& name) const {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const auto& entry) { return entry.first == name; });
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  const File file = File::open_to_read(path);
  SafetensorsHeader header = read_safetensors_header(file);
  TensorFile result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(header.entries.size());
  for (const auto& entry : header.entries) {
    result.tensors.emplace_back(entry.name, read_tensor(file, entry, header.data_offset));
  }
  return result;
}

std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path) {
  return read_safetensors_header(File::open_to_read(path)).metadata;
}

std::vector<TensorInfo> read_safetensors_index(const std::filesystem::path& path) {
  SafetensorsHeader header = read_safetensors_header(File::open_to_read(path));
  std::vector<TensorInfo> index;
  index.reserve(header.entries.size());
  for (auto& entry : header.entries) {
    index.push_back({std::move(entry.name), entry.type, std::move(entry.shape)});
  }
  return index;
}

void check_finite(const TensorFile& file, const std::filesystem::path& path) {
  constexpr std::int64_t piece = 1 << 20;  // elements, so that the masks stay small
  for (const auto& [name, tensor] : file.tensors) {
    if (!tensor.is_floating_point()) continue;
    const at::Tensor flat = tensor.detach().reshape({-1});
    for (std::int64_t begin = 0; begin < flat.numel(); begin += piece) {
      const at::Tensor part = flat.narrow(0, begin, std::min(piece, flat.numel() - begin));
      if (at::isfinite(part).all().item<bool>()) continue;
      throw Error("finite weights",
                  fmt::format("{}: NaN or infinity in tensor {}", path.string(), printable(name)),
                  "use an earlier checkpoint, or save the file again");
    }
  }
}

std::string write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  std::string header = header_text(file, path.string());
  header.append((8 - header.size() % 8) % 8, ' ');  // the data begin at a multiple of 8 bytes
  check_counts(file, header, path.string());
  const std::uint64_t length = header.size();
  RunningChecksum meant;
  write_file_atomically(path, [&](const ByteSink& sink) {
    const auto write = [&](std::span<const std::byte> bytes) {
      meant.add(bytes);
      sink(bytes);
    };
    write(std::as_bytes(std::span(&length, 1)));
    write(as_bytes(header));
    // One tensor at a time: only those elsewhere or scattered are copied, and just while written.
    for (const auto& [name, tensor] : file.tensors) write(bytes_of(to_plain(tensor)));
  });
  return meant.text();
}

}  // namespace calor::io
