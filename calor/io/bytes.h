// Small tools that every reader of untrusted files needs: integers of a given byte order, products
// that cannot overflow, text that is safe to print, and tensors of memory that may be refused.
#pragma once

#include <ATen/core/Tensor.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace calor::io {

static_assert(std::endian::native == std::endian::little,
              "the readers copy little-endian numbers as they are");

// The unsigned integer at the start of `bytes`, which must hold at least sizeof(Integer).
template <class Integer>
Integer little_endian(std::span<const std::byte> bytes) {
  Integer value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::uint32_t big_endian_32(std::span<const std::byte> bytes);

// The byte length of an array; empty where it, or the strides of such an array (the product of the
// sizes with 1 for 0), would not fit a signed 64-bit integer, or where a size is negative.
std::optional<std::uint64_t> array_bytes(std::span<const std::int64_t> shape,
                                         std::uint64_t bytes_per_element);

// "[2, 3, 4]"
std::string shape_text(std::span<const std::int64_t> shape);

// In quotes, with control characters escaped, cut at 100 bytes: names out of hostile files go
// through this on their way to a terminal.
std::string printable(std::string_view text);

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// An uninitialised contiguous CPU tensor; Error naming `file` where there is not enough memory.
at::Tensor allocate(at::IntArrayRef shape, at::ScalarType type, const std::string& file);

// The memory of a contiguous CPU tensor.
std::span<std::byte> writable_bytes(const at::Tensor& tensor);
std::span<const std::byte> bytes_of(const at::Tensor& tensor);

// A dense CPU tensor in row-major order with the same values, sharing memory where it can.
at::Tensor to_plain(const at::Tensor& tensor);

// A bool read from a file must be 0 or 1: any other byte is undefined behaviour in C++.
bool are_bools(std::span<const std::byte> bytes);

}  // namespace calor::io
