// The safetensors format, read with distrust and written deterministically: 8 bytes of header
// length (little-endian), a JSON header, raw little-endian row-major data.
// https://huggingface.co/docs/safetensors (format description).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace calor::io {

// Named tensors in file order, on the CPU, and the free-text `__metadata__`.
struct TensorFile {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<std::string, std::string> metadata;

  // The tensor of that name; Error naming the nearest one where it is missing.
  const at::Tensor& at(const std::string& name) const;
  bool contains(const std::string& name) const;
};

// Error on anything malformed: header longer than the file or 100 MB, not UTF-8 JSON, duplicate
// key, gap or overlap or remainder in the data, dtype x shape not the length, overflow in the
// product, more than 1,000,000 tensors, a name longer than 4,096 bytes, more than 64 dimensions, a
// bool that is neither 0 nor 1; a pickle (.pt, .pth) is recognised by its first bytes and refused
// with the way to convert it. Types read: F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL.
TensorFile read_safetensors(const std::filesystem::path& path);

// The metadata alone, without reading the data (checks the header in full).
std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path);

// Names, types and shapes alone, in file order.
struct TensorInfo {
  std::string name;
  at::ScalarType type{};
  std::vector<std::int64_t> shape;
};
std::vector<TensorInfo> read_safetensors_index(const std::filesystem::path& path);

// Error naming the first tensor that holds a NaN or an infinity, and `path`, where it came from.
void check_finite(const TensorFile& file, const std::filesystem::path& path);

// Writes atomically; the same tensors and metadata give the same bytes. Tensors may be on any
// device and need not be contiguous. Order is kept. Returns the checksum of what was to be written,
// which is the file's (checksum_of_file) unless something went wrong on the way to the disk.
std::string write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace calor::io
