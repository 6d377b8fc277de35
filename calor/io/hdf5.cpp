#include "calor/io/hdf5.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <mutex>

#include "calor/core/error.h"
#include "calor/io/byte_values.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"

namespace calor::io {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 36;
// A group may hold itself: the walk has to end.
constexpr int most_levels = 6;
constexpr std::size_t most_objects = 1'000'000;
// Deflate packs 1032 bytes into one at most.
constexpr std::uint64_t most_packed = 2048;

// One caller at a time, as the library wants it where it was not built for threads; and without its
// own reports on standard error meanwhile.
class Session {
 public:
  Session() : lock_(mutex()) {
    had_report_ = H5Eget_auto2(H5E_DEFAULT, &report_, &report_data_) >= 0;
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Session() {
    if (had_report_) H5Eset_auto2(H5E_DEFAULT, report_, report_data_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }

  std::lock_guard<std::mutex> lock_;
  H5E_auto2_t report_ = nullptr;
  void* report_data_ = nullptr;
  bool had_report_ = false;
};

// A file, group, array, space or type of the library, closed at the end; not open where the call
// that should have opened it failed.
class Handle {
 public:
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() {
    if (is_open()) H5Idec_ref(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle(Handle&&) = delete;
  Handle& operator=(Handle&&) = delete;

  bool is_open() const { return id_ >= 0; }
  hid_t id() const { return id_; }

 private:
  hid_t id_;
};

herr_t take_description(unsigned depth, const H5E_error2_t* error, void* text) {
  if (depth == 0) *static_cast<const char**>(text) = error->desc;
  return 0;
}

// Why the library's last call failed, in its own words: the message from deepest down.
std::string reason() {
  const char* text = nullptr;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_description, &text);
  return text == nullptr ? "HDF5 gives no reason" : "HDF5 says " + printable(text);
}

Error unreadable(const std::string& expected, const std::string& origin) {
  return {expected, fmt::format("{}: {}", origin, reason()),
          "copy the file again, whole; if it is, save its arrays again, plain or packed by gzip"};
}

// Throws that where the library's last call failed.
void require(bool holds, const std::string& expected, const std::string& origin) {
  if (!holds) throw unreadable(expected, origin);
}

hid_t open_file(const fs::path& path) {
  File::open_to_read(path);  // says better than the library why it cannot be opened
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file >= 0) return file;
  throw Error("an HDF5 file", fmt::format("{}: {}", path.string(), reason()),
              "copy it again, whole, or rename it if it is of another kind");
}

// float, int and so on for a type of the library; Undefined for what is not read.
at::ScalarType scalar_type(const Handle& type) {
  const std::size_t bytes = H5Tget_size(type.id());
  switch (H5Tget_class(type.id())) {
    case H5T_ENUM:
      return scalar_type(Handle(H5Tget_super(type.id())));
    case H5T_FLOAT:
      if (bytes == 8) return at::kDouble;
      return bytes == 2 || bytes == 4 ? at::kFloat : at::ScalarType::Undefined;
    case H5T_INTEGER:
      break;
    default:
      return at::ScalarType::Undefined;
  }
  const bool is_signed = H5Tget_sign(type.id()) != H5T_SGN_NONE;
  if (bytes == 1) return is_signed ? at::kChar : at::kByte;
  if (bytes == 2) return is_signed ? at::kShort : at::kInt;
  if (bytes == 4) return is_signed ? at::kInt : at::kLong;
  return bytes == 8 && is_signed ? at::kLong : at::ScalarType::Undefined;
}

hid_t memory_type(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return H5T_NATIVE_DOUBLE;
    case at::kFloat:
      return H5T_NATIVE_FLOAT;
    case at::kByte:
      return H5T_NATIVE_UINT8;
    case at::kChar:
      return H5T_NATIVE_INT8;
    case at::kShort:
      return H5T_NATIVE_INT16;
    case at::kInt:
      return H5T_NATIVE_INT32;
    default:
      return H5T_NATIVE_INT64;
  }
}

// Type and shape of an open array; Undefined where it has a type but no place for values.
Hdf5Array describe(const std::string& name, const Handle& array, const std::string& origin) {
  const std::string where = fmt::format("{}, array {}", origin, printable(name));
  const Handle type(H5Dget_type(array.id()));
  require(type.is_open(), "an array whose type can be read", where);
  const Handle space(H5Dget_space(array.id()));
  require(space.is_open(), "an array whose sizes can be read", where);
  if (H5Sget_simple_extent_type(space.id()) == H5S_NULL) {
    return {name, at::ScalarType::Undefined, {}};
  }
  const int rank = H5Sget_simple_extent_ndims(space.id());
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(rank, 0)));
  require(rank >= 0 && H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr) >= 0,
          "an array whose sizes can be read", where);
  Hdf5Array out{name, scalar_type(type), {}};
  for (const hsize_t size : sizes) {
    if (size > most_bytes) {
      throw Error(fmt::format("sizes of at most {}", most_bytes),
                  fmt::format("{}: {}", where, size), "copy the file again, whole");
    }
    out.shape.push_back(static_cast<std::int64_t>(size));
  }
  return out;
}

std::vector<std::string> names_in(const Handle& group, const std::string& where) {
  const char* expected = "a group whose names can be read";
  H5G_info_t info{};
  require(H5Gget_info(group.id(), &info) >= 0, expected, where);
  std::vector<std::string> names;
  for (hsize_t n = 0; n < info.nlinks; ++n) {
    const auto read = [&](char* to, std::size_t room) {
      return H5Lget_name_by_idx(group.id(), ".", H5_INDEX_NAME, H5_ITER_INC, n, to, room,
                                H5P_DEFAULT);
    };
    const auto length = read(nullptr, 0);
    require(length >= 0, expected, where);
    std::string name(static_cast<std::size_t>(length), '\0');
    require(read(name.data(), name.size() + 1) >= 0, expected, where);
    names.push_back(std::move(name));
  }
  return names;
}

void walk(const Handle& group, const std::string& prefix, int level, const std::string& origin,
          Hdf5Contents& found) {
  for (const std::string& name : names_in(group, fmt::format("{}, in '{}'", origin, prefix))) {
    const std::string path = prefix + name;
    const Handle object(H5Oopen(group.id(), name.c_str(), H5P_DEFAULT));
    require(object.is_open(), "a group or an array that can be opened",
            fmt::format("{}, {}", origin, printable(path)));
    const H5I_type_t kind = H5Iget_type(object.id());
    if (kind == H5I_DATASET) found.arrays.push_back(describe(path, object, origin));
    if (kind == H5I_GROUP) {
      found.groups.push_back(path);
      if (level < most_levels) walk(object, path + "/", level + 1, origin, found);
    }
    if (found.groups.size() + found.arrays.size() > most_objects) {
      throw Error(fmt::format("at most {} groups and arrays", most_objects), origin + ": more",
                  "save the file in parts");
    }
  }
}

// An array of rows that is read, by name.
Hdf5Array describe_rows(const Handle& file, const std::string& name, const std::string& origin) {
  const Handle array(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT));
  require(array.is_open(), fmt::format("an array {}", printable(name)), origin);
  Hdf5Array out = describe(name, array, origin);
  if (out.type != at::ScalarType::Undefined && !out.shape.empty()) return out;
  throw Error("an array [rows, ...] of floating point or integers",
              fmt::format("{}, array {}: {}", origin, printable(name),
                          out.type == at::ScalarType::Undefined ? "values of another kind"
                                                                : "a single number"),
              "save numbers of 8 to 64 bits, unsigned ones of at most 32");
}

// Error where `other` has another type or other sizes of a row than `first`.
void check_alike(const Hdf5Array& first, const Hdf5Array& other, const std::string& origin) {
  const auto row_of = [](const Hdf5Array& array) { return std::span(array.shape).subspan(1); };
  if (first.type == other.type && std::ranges::equal(row_of(first), row_of(other))) return;
  const auto text = [](const Hdf5Array& array) {
    return fmt::format("{} {} {}", printable(array.name), c10::toString(array.type),
                       shape_text(array.shape));
  };
  throw Error("arrays that differ in their number of rows only",
              fmt::format("{}: {}, and {}", origin, text(first), text(other)),
              "save them again with one type and equal sizes");
}

// The array that those of these names make together, named after the first, and the rows of each.
struct Joined {
  Hdf5Array array;
  std::vector<std::int64_t> rows;
};

Joined join(const Handle& file, const std::vector<std::string>& names, const std::string& origin) {
  Joined all{.array = describe_rows(file, names.at(0), origin), .rows = {}};
  all.array.shape[0] = 0;
  for (const std::string& name : names) {
    const Hdf5Array one = describe_rows(file, name, origin);
    check_alike(all.array, one, origin);
    all.rows.push_back(one.shape[0]);
    all.array.shape[0] += one.shape[0];
  }
  const auto bytes = array_bytes(all.array.shape, c10::elementSize(all.array.type));
  if (bytes && *bytes <= most_bytes) return all;
  throw Error(fmt::format("at most {} bytes", most_bytes),
              fmt::format("{}, {} arrays as {}: {}", origin, names.size(),
                          printable(all.array.name), shape_text(all.array.shape)),
              "save fewer or smaller arrays");
}

// Error where the file holds so little for an array that its sizes cannot be right. Virtual arrays
// lie in other files.
void check_stored(const Handle& file, const std::string& name, const std::string& origin) {
  const Handle array(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT));
  const Handle layout(H5Dget_create_plist(array.id()));
  if (H5Pget_layout(layout.id()) == H5D_VIRTUAL) return;
  const Hdf5Array promised = describe(name, array, origin);
  const auto bytes = array_bytes(promised.shape, c10::elementSize(promised.type)).value_or(0);
  const std::uint64_t stored = H5Dget_storage_size(array.id());
  if (bytes / most_packed <= stored) return;
  throw Error(fmt::format("values for an array {}", shape_text(promised.shape)),
              fmt::format("{}, array {}: {} bytes in the file", origin, printable(name), stored),
              "copy the file again, whole; if it is, write all of the array's values");
}

// All values of an array, into memory of its shape and type.
void read_values(const Handle& array, const at::Tensor& to, const std::string& where) {
  if (to.numel() == 0) return;
  require(H5Dread(array.id(), memory_type(to.scalar_type()), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                  to.mutable_data_ptr()) >= 0,
          "values that can be read", where);
}

}  // namespace

Hdf5Contents list_hdf5(const fs::path& path) {
  const Session session;
  const Handle file(open_file(path));
  const Handle root(H5Gopen2(file.id(), "/", H5P_DEFAULT));
  require(root.is_open(), "an HDF5 file with a first group", path.string());
  Hdf5Contents found;
  walk(root, "", 1, path.string(), found);
  return found;
}

at::Tensor read_hdf5(const fs::path& path, const std::vector<std::string>& names, bool as_bytes) {
  const Session session;
  const Handle file(open_file(path));
  const std::string origin = path.string();
  const auto [all, rows] = join(file, names, origin);
  for (const std::string& name : names) check_stored(file, name, origin);
  const at::Tensor out = allocate(all.shape, as_bytes ? at::kByte : all.type, origin);
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < names.size(); begin += rows[i++]) {
    const std::string where = fmt::format("{}, array {}", origin, printable(names[i]));
    const Handle array(H5Dopen2(file.id(), names[i].c_str(), H5P_DEFAULT));
    const at::Tensor part = out.narrow(0, begin, rows[i]);
    if (out.scalar_type() == all.type) {
      read_values(array, part, where);
      continue;
    }
    const at::Tensor values = allocate(part.sizes(), all.type, where);
    read_values(array, values, where);
    put_byte_values(values, part, where);
  }
  return out;
}

}  // namespace calor::io
