#include "calor/io/idx.h"

#include <fmt/format.h>

#include <algorithm>

#include "calor/core/error.h"
#include "calor/io/archive.h"
#include "calor/io/bytes.h"

namespace calor::io {
namespace {

constexpr std::size_t max_rank = 4;

[[noreturn]] void refuse(const std::string& expected, const std::string& file,
                         const std::string& found) {
  throw Error(expected, file + ": " + found,
              "the file is damaged or not an IDX file of unsigned bytes: download it again");
}

}  // namespace

// Two zero bytes, the type (8: unsigned byte), the rank, a big-endian 32-bit size for each
// dimension, then the data in C order. http://yann.lecun.com/exdb/mnist
at::Tensor parse_idx(std::span<const std::byte> bytes, const std::string& name_for_errors) {
  constexpr std::byte zero{0};
  if (bytes.size() < 4 || bytes[0] != zero || bytes[1] != zero || bytes[2] != std::byte{8}) {
    refuse("an IDX file of unsigned bytes, which begins with 00 00 08", name_for_errors,
           bytes.size() < 4 ? fmt::format("{} bytes", bytes.size()) : "another beginning");
  }
  const auto rank = std::to_integer<std::size_t>(bytes[3]);
  if (rank < 1 || rank > max_rank || bytes.size() < 4 + 4 * rank) {
    refuse("1 to 4 dimensions and their sizes", name_for_errors,
           fmt::format("{} dimensions in {} bytes", rank, bytes.size()));
  }
  std::vector<std::int64_t> shape;
  for (std::size_t i = 0; i < rank; ++i) shape.push_back(big_endian_32(bytes.subspan(4 + 4 * i)));
  const auto data = bytes.subspan(4 + 4 * rank);
  const auto length = array_bytes(shape, 1);
  if (!length || *length != data.size()) {
    refuse("data of shape " + shape_text(shape), name_for_errors,
           fmt::format("{} bytes", data.size()));
  }
  at::Tensor tensor = allocate(shape, at::kByte, name_for_errors);
  std::copy(data.begin(), data.end(), writable_bytes(tensor).begin());
  return tensor;
}

at::Tensor read_idx(const std::filesystem::path& path) {
  return parse_idx(read_maybe_gzip(path), path.string());
}

}  // namespace calor::io
