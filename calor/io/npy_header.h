// The header of an .npy file: a Python literal, {'descr': '<f4', 'fortran_order': False,
// 'shape': (3, 4), }, read by a parser that knows nothing else.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace calor::io {

// No header of the types that are read comes near this; NumPy itself stops at 10,000 bytes.
constexpr std::size_t npy_max_header = 65536;

struct NpyHeader {
  at::ScalarType type{};
  std::vector<std::int64_t> shape;
  bool fortran_order = false;
  std::uint64_t data_offset = 0;
  std::uint64_t data_bytes = 0;
};

// From the beginning of the file (all of it, or at least npy_max_header bytes) and the file's size,
// which must be exactly what the header promises.
NpyHeader parse_npy_header(std::span<const std::byte> start, std::uint64_t file_size,
                           const std::string& file);

// at::kFloat for "<f4"; Error naming `file` for a type that is not read.
at::ScalarType npy_type(std::string_view descr, const std::string& file);

// "<f4" for at::kFloat; Error where Calor does not write that type.
std::string npy_descr(at::ScalarType type);

}  // namespace calor::io
