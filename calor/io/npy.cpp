#include "calor/io/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calor/core/error.h"
#include "calor/io/archive.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"
#include "calor/io/npy_header.h"

namespace calor::io {
namespace {

// Fortran order is C order of the transposed array.
std::vector<std::int64_t> stored_shape(const NpyHeader& header) {
  std::vector<std::int64_t> shape = header.shape;
  if (header.fortran_order) std::reverse(shape.begin(), shape.end());
  return shape;
}

at::Tensor finish(at::Tensor stored, const NpyHeader& header, const std::string& file) {
  if (header.type == at::kBool && !are_bools(bytes_of(stored))) {
    throw Error("bools of 0 or 1", file + ": another value",
                "the file is damaged: save it again with numpy.save");
  }
  if (!header.fortran_order || stored.dim() < 2) return stored;
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = stored.dim(); axis-- > 0;) axes.push_back(axis);
  return stored.permute(axes).contiguous();
}

// The magic, the version, the length and the literal, padded with spaces and a newline to 64 bytes.
std::string npy_start(const at::Tensor& array) {
  const auto sizes = array.sizes();
  const char* one_needs_comma = sizes.size() == 1 ? "," : "";
  std::string literal =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                  npy_descr(array.scalar_type()), fmt::join(sizes, ", "), one_needs_comma);
  constexpr std::size_t preamble = 10;
  literal.append(63 - (preamble + literal.size()) % 64, ' ').push_back('\n');
  std::string start("\x93NUMPY\x01\x00", 8);
  start.push_back(static_cast<char>(literal.size() & 0xff));
  start.push_back(static_cast<char>(literal.size() >> 8));
  return start + literal;
}

NpyHeader read_header(const File& file) {
  const std::uint64_t size = file.size();
  std::vector<std::byte> start(std::min<std::uint64_t>(npy_max_header, size));
  file.read_exactly(0, start);
  return parse_npy_header(start, size, file.path().string());
}

// What an array of an .npz file is called: its member's name without .npy. `where` names it in
// errors.
std::string key_of(const std::string& member, const std::string& where) {
  if (!member.ends_with(".npy")) {
    throw Error("only .npy arrays in an .npz file", where, "save it again with numpy.savez");
  }
  return member.substr(0, member.size() - 4);
}

template <class Value>
void put_once(std::map<std::string, Value>& arrays, const std::string& key, Value value,
              const std::string& where) {
  if (arrays.emplace(key, std::move(value)).second) return;
  throw Error("each array once", where + " twice", "save it again with numpy.savez");
}

}  // namespace

at::Tensor parse_npy(std::span<const std::byte> bytes, const std::string& name_for_errors) {
  const NpyHeader header = parse_npy_header(bytes, bytes.size(), name_for_errors);
  const at::Tensor stored = allocate(stored_shape(header), header.type, name_for_errors);
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(header.data_offset), header.data_bytes,
              writable_bytes(stored).begin());
  return finish(stored, header, name_for_errors);
}

at::Tensor read_npy(const std::filesystem::path& path) {
  const File file = File::open_to_read(path);
  const NpyHeader header = read_header(file);
  const at::Tensor stored = allocate(stored_shape(header), header.type, path.string());
  file.read_exactly(header.data_offset, writable_bytes(stored));
  return finish(stored, header, path.string());
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path) {
  std::map<std::string, at::Tensor> arrays;
  for_each_member(path, [&](const std::string& name, std::span<const std::byte> bytes) {
    const std::string where = path.string() + ": " + printable(name);
    const std::string key = key_of(name, where);
    put_once(arrays, key, parse_npy(bytes, where), where);
  });
  return arrays;
}

std::vector<std::int64_t> read_npy_shape(const std::filesystem::path& path) {
  return read_header(File::open_to_read(path)).shape;
}

std::map<std::string, std::vector<std::int64_t>> read_npz_shapes(
    const std::filesystem::path& path) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for_each_member_start(
      path, npy_max_header,
      [&](const std::string& name, std::span<const std::byte> start, std::uint64_t size) {
        const std::string where = path.string() + ": " + printable(name);
        const std::string key = key_of(name, where);
        put_once(shapes, key, parse_npy_header(start, size, where).shape, where);
      });
  return shapes;
}

void write_npy(const std::filesystem::path& path, const at::Tensor& array) {
  const std::string start = npy_start(array);
  const at::Tensor plain = to_plain(array);
  write_file_atomically(path, [&](const ByteSink& sink) {
    sink(as_bytes(start));
    sink(bytes_of(plain));
  });
}

void write_npz(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, at::Tensor>>& arrays) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const auto& [name, array] : arrays) {
    const at::Tensor plain = to_plain(array);
    members.emplace_back(name + ".npy", npy_start(array) + std::string(as_text(bytes_of(plain))));
  }
  write_zip(path, members);
}

}  // namespace calor::io
