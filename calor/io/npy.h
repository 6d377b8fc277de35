// NumPy's .npy (one array) and .npz (a zip of them). Read: little-endian f2 f4 f8 i1 i2 i4 i8 u1
// b1, C or Fortran order, format versions 1-3; anything else, objects above all, is refused.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace calor::io {

at::Tensor read_npy(const std::filesystem::path& path);
at::Tensor parse_npy(std::span<const std::byte> bytes, const std::string& name_for_errors);
std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path);

// The shapes alone, from the headers: what the arrays hold is neither read nor checked.
std::vector<std::int64_t> read_npy_shape(const std::filesystem::path& path);
std::map<std::string, std::vector<std::int64_t>> read_npz_shapes(const std::filesystem::path& path);

// Version 1.0, C order, atomically. Types: f4 f8 f2 i8 i4 u1.
void write_npy(const std::filesystem::path& path, const at::Tensor& array);

// The same arrays as an .npz file, not packed.
void write_npz(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, at::Tensor>>& arrays);

}  // namespace calor::io
