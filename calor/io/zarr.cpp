#include "calor/io/zarr.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "calor/core/error.h"
#include "calor/io/archive.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"
#include "calor/io/zarr_array.h"

namespace calor::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view description_file = ".zarray";

using Visit = std::function<void(const std::string& name, std::span<const std::byte> bytes)>;

// Calls `visit` for each file of the store that `wanted` says yes to. Names are relative to the
// store's root; an archive's is the folder of its outermost .zgroup or the one named .zarr.
void for_each_file(const fs::path& store, const std::function<bool(const std::string&)>& wanted,
                   const Visit& visit) {
  if (fs::is_directory(store)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(store)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& path : files) {
      const std::string name = path.lexically_relative(store).generic_string();
      if (!wanted(name)) continue;
      const File file = File::open_to_read(path);
      std::vector<std::byte> bytes(file.size());
      file.read_exactly(0, bytes);
      visit(name, bytes);
    }
    return;
  }
  for_each_member(store, [&](const std::string& member, std::span<const std::byte> bytes) {
    std::string name = member.starts_with("./") ? member.substr(2) : member;
    const std::size_t root = name.find(".zarr/");
    if (root != std::string::npos) name = name.substr(root + 6);
    if (wanted(name)) visit(name, bytes);
  });
}

// A chunk's file: the array that it belongs to and its place there; empty for other files.
struct Place {
  std::string array, chunk;
};

std::map<std::string, ZarrDescription> descriptions(const fs::path& store) {
  std::error_code ignored;
  if (!fs::exists(store, ignored)) {
    throw Error("a zarr store: a folder, or an archive of one", store.string() + " does not exist",
                "give the path of a .zarr folder or a .zarr.tar file");
  }
  std::map<std::string, ZarrDescription> found;
  for_each_file(
      store, [](const std::string& name) { return fs::path(name).filename() == description_file; },
      [&](const std::string& name, std::span<const std::byte> bytes) {
        const std::string array = fs::path(name).parent_path().generic_string();
        found.emplace(array, parse_zarray(array, as_text(bytes), store.string()));
      });
  if (found.empty()) {
    throw Error("a zarr store (version 2) with arrays",
                store.string() + " has no .zarray file in it",
                "give the folder, or the archive of the folder, that zarr wrote");
  }
  return found;
}

const ZarrDescription& find_array(const std::map<std::string, ZarrDescription>& all,
                                  const std::string& name, const fs::path& store) {
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [key, description] : all) names.push_back(key);
  const std::string nearest = nearest_name(name, names);
  throw Error(fmt::format("an array {} in {}", printable(name), store.string()),
              nearest.empty() ? "no array of such a name" : fmt::format("'{}'", nearest),
              "'calor data inspect' lists the arrays of a store");
}

}  // namespace

bool is_zarr(const fs::path& path) {
  const std::string name = path.filename().string();
  for (const char* ending :
       {".zarr", ".zarr.tar", ".zarr.tar.gz", ".zarr.tar.xz", ".zarr.tar.zst", ".zarr.zip"}) {
    if (name.ends_with(ending)) return true;
  }
  std::error_code ignored;
  return fs::exists(path / ".zgroup", ignored);
}

std::vector<ZarrArray> list_zarr(const fs::path& path) {
  std::vector<ZarrArray> arrays;
  for (const auto& [name, description] : descriptions(path)) arrays.push_back(description.array);
  return arrays;
}

std::map<std::string, at::Tensor> read_zarr(const fs::path& path,
                                            const std::vector<std::string>& names,
                                            const std::set<std::string>& as_bytes) {
  const auto all = descriptions(path);
  std::map<std::string, at::Tensor> arrays, rooms;
  std::map<std::string, std::set<std::string>> chunks;
  for (const std::string& name : names) {
    const ZarrDescription& description = find_array(all, name, path);
    const at::ScalarType type = as_bytes.contains(name) ? at::kByte : description.array.type;
    arrays.emplace(name, begin_array(description, type, path.string()));
  }
  const auto place_of = [&](const std::string& file) -> Place {
    for (const auto& [name, array] : arrays) {
      if (!file.starts_with(name + "/")) continue;
      const std::string rest = file.substr(name.size() + 1);
      if (!rest.starts_with(".")) return {name, rest};
    }
    return {};
  };
  for_each_file(
      path, [&](const std::string& file) { return !place_of(file).chunk.empty(); },
      [&](const std::string& file, std::span<const std::byte> bytes) {
        const Place place = place_of(file);
        put_chunk(all.at(place.array), place.chunk, bytes, arrays.at(place.array),
                  rooms[place.array], path.string());
        chunks[place.array].insert(place.chunk);
      });
  for (const auto& [name, array] : arrays) {
    const ZarrDescription& description = all.at(name);
    const std::int64_t expected = chunk_count(description);
    const auto present = static_cast<std::int64_t>(chunks[name].size());
    if (present == expected || description.fill) continue;
    throw Error(fmt::format("{} chunks of array '{}'", expected, name),
                fmt::format("{}: {} of them, and no fill value", path.string(), present),
                "copy the store again, whole");
  }
  return arrays;
}

}  // namespace calor::io
