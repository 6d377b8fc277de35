#include "calor/io/bytes.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <new>

#include "calor/core/error.h"

namespace calor::io {

std::uint32_t big_endian_32(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes.first(4))
    value = (value << 8) | std::to_integer<unsigned>(byte);
  return value;
}

std::optional<std::uint64_t> array_bytes(std::span<const std::int64_t> shape,
                                         std::uint64_t bytes_per_element) {
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t product = bytes_per_element;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
      continue;
    }
    if (product > largest / static_cast<std::uint64_t>(size)) return std::nullopt;
    product *= static_cast<std::uint64_t>(size);
  }
  return empty ? 0 : product;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string printable(std::string_view text) {
  constexpr std::size_t longest = 100;
  std::string result = "\"";
  for (const char c : text.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  result += text.size() > longest ? "...\"" : "\"";
  return result;
}

at::Tensor allocate(at::IntArrayRef shape, at::ScalarType type, const std::string& file) {
  const auto refuse = [&] {
    return Error(fmt::format("memory for an array of shape {}", shape_text(shape)),
                 file + ": not enough memory", "free some memory, or use a smaller file");
  };
  try {
    return at::empty(shape, at::TensorOptions().dtype(type).device(at::kCPU));
  } catch (const c10::Error&) {
    throw refuse();
  } catch (const std::bad_alloc&) {
    throw refuse();
  }
}

std::span<std::byte> writable_bytes(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()};
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

at::Tensor to_plain(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).resolve_neg().contiguous();
}

bool are_bools(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte <= std::byte{1}; });
}

}  // namespace calor::io
