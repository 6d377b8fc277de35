#include "calor/io/zarr.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "calor/core/error.h"
#include "calor/io/archive.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/zarr_array.h"

namespace calor::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view description_file = ".zarray";
constexpr std::string_view group_file = ".zgroup";
constexpr std::string_view named_folder = ".zarr/";           // the end of its name
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 32;  // of a file, as in an archive
constexpr std::uint64_t most_description_bytes = 1 << 20;

using Visit = std::function<void(const std::string& name, std::span<const std::byte> bytes)>;

// Calls `visit` for each file of the folder or archive that `wanted` says yes to.
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
      if (wanted(name)) visit(name, read_file(path, most_bytes));
    }
    return;
  }
  for_each_member(store, [&](const std::string& member, std::span<const std::byte> bytes) {
    const std::string name = member.starts_with("./") ? member.substr(2) : member;
    if (wanted(name)) visit(name, bytes);
  });
}

// The folder of an archive's files that is the store, as "a/store/": the outermost one named .zarr,
// or else that of the outermost .zgroup, or else the archive itself.
std::string root_of(const std::set<std::string>& files) {
  std::optional<std::string> named, grouped;
  const auto take_outer = [](std::optional<std::string>& root, const std::string& folder) {
    if (!root || folder.size() < root->size()) root = folder;
  };
  for (const std::string& file : files) {
    const std::size_t end = file.find(named_folder);
    if (end != std::string::npos) take_outer(named, file.substr(0, end + named_folder.size()));
    const std::size_t slash = file.rfind('/') + 1;  // 0 where there is none
    if (file.substr(slash) == group_file) take_outer(grouped, file.substr(0, slash));
  }
  return named ? *named : grouped.value_or("");
}

// What lies in a store, by names relative to `root`, that of the store in its archive.
struct Contents {
  std::string root;
  std::map<std::string, ZarrDescription> arrays;
  std::set<std::string> files;
};

// A chunk's file: the array that it belongs to and its place there; empty for other files.
struct Place {
  std::string array, chunk;
};

Contents contents_of(const fs::path& store) {
  std::error_code ignored;
  if (!fs::exists(store, ignored)) {
    throw Error("a zarr store: a folder, or an archive of one", store.string() + " does not exist",
                "give the path of a .zarr folder or a .zarr.tar file");
  }
  std::set<std::string> files;
  std::map<std::string, std::string> texts;
  for_each_file(
      store,
      [&](const std::string& name) {
        files.insert(name);
        return fs::path(name).filename() == description_file;
      },
      [&](const std::string& name, std::span<const std::byte> bytes) {
        if (bytes.size() > most_description_bytes) {
          throw Error(
              fmt::format("descriptions of at most {} bytes", most_description_bytes),
              fmt::format("{}: {}: {} bytes", store.string(), printable(name), bytes.size()),
              "save the store again with zarr");
        }
        texts.emplace(name, as_text(bytes));
      });
  Contents found;
  if (!fs::is_directory(store, ignored)) found.root = root_of(files);
  for (const std::string& file : files) {
    if (file.starts_with(found.root)) found.files.insert(file.substr(found.root.size()));
  }
  for (const auto& [name, text] : texts) {
    if (!name.starts_with(found.root)) continue;
    const fs::path file = name.substr(found.root.size());
    const std::string array = file.parent_path().generic_string();
    found.arrays.emplace(array, parse_zarray(array, text, store.string()));
  }
  if (found.arrays.empty()) {
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

// The place of the chunk that a file of an array is; empty for other files.
std::string chunk_of(const std::string& array, const std::string& file) {
  if (!file.starts_with(array + "/")) return {};
  std::string chunk = file.substr(array.size() + 1);
  return chunk.starts_with(".") ? std::string() : chunk;
}

// Before memory is asked for: a few bytes can describe an array of many gigabytes.
void require_chunks(const ZarrDescription& description, const std::set<std::string>& files,
                    const fs::path& store) {
  if (description.fill) return;
  const std::string& name = description.array.name;
  const std::int64_t expected = chunk_count(description);
  const std::int64_t present = std::ranges::count_if(
      files, [&](const std::string& file) { return !chunk_of(name, file).empty(); });
  if (present >= expected) return;
  throw Error(fmt::format("{} chunks of array '{}'", expected, name),
              fmt::format("{}: {} of them, and no fill value", store.string(), present),
              "copy the store again, whole");
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
  const Contents contents = contents_of(path);
  for (const auto& [name, description] : contents.arrays) arrays.push_back(description.array);
  return arrays;
}

std::map<std::string, at::Tensor> read_zarr(const fs::path& path,
                                            const std::vector<std::string>& names,
                                            const std::set<std::string>& as_bytes) {
  const Contents contents = contents_of(path);
  std::map<std::string, at::Tensor> arrays, rooms;
  for (const std::string& name : names) {
    const ZarrDescription& description = find_array(contents.arrays, name, path);
    require_chunks(description, contents.files, path);
    const at::ScalarType type = as_bytes.contains(name) ? at::kByte : description.array.type;
    arrays.emplace(name, begin_array(description, type, path.string()));
  }
  const auto place_of = [&](const std::string& file) -> Place {
    if (!file.starts_with(contents.root)) return {};
    const std::string relative = file.substr(contents.root.size());
    for (const auto& [name, array] : arrays) {
      const std::string chunk = chunk_of(name, relative);
      if (!chunk.empty()) return {name, chunk};
    }
    return {};
  };
  for_each_file(
      path, [&](const std::string& file) { return !place_of(file).chunk.empty(); },
      [&](const std::string& file, std::span<const std::byte> bytes) {
        const auto [name, chunk] = place_of(file);
        put_chunk(contents.arrays.at(name), chunk, bytes, arrays.at(name), rooms[name],
                  path.string());
      });
  return arrays;
}

}  // namespace calor::io
