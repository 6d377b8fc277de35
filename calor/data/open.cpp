// Which reader a name or a path asks for, and the shape that every set is brought to.
#include "calor/data/open.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/array_sets.h"
#include "calor/data/glyphs.h"
#include "calor/data/image_folder.h"
#include "calor/data/picture_archive.h"
#include "calor/data/transform.h"
#include "calor/io/archive.h"
#include "calor/io/ending.h"
#include "calor/io/picture.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t largest_side = 4096;
constexpr std::int64_t largest_pad = 1024;

void check(const DataOptions& options) {
  const auto refuse = [](const char* expected, const char* key, std::int64_t value) {
    throw usage_error(expected, fmt::format("{} = {}", key, value), "correct the value");
  };
  if (options.channels != 0 && options.channels != 1 && options.channels != 3) {
    refuse("1 (grey) or 3 (colour) channels, or 0 for as many as stored", "data.channels",
           options.channels);
  }
  if (options.size < 0 || options.size > largest_side) {
    refuse("a side from 1 to 4096 pixels, or 0 for the size as stored", "data.size", options.size);
  }
  if (options.pad < 0 || options.pad > largest_pad) {
    refuse("0 to 1024 rows and columns of padding", "data.pad", options.pad);
  }
}

std::shared_ptr<ImageDataset> to_dataset(ArraySet set, const PictureTransform& transform) {
  at::Tensor pictures = transform.all(set.pictures);
  ItemSpec spec{.channels = pictures.size(1),
                .height = pictures.size(2),
                .width = pictures.size(3),
                .class_names = std::move(set.class_names)};
  return make_tensor_dataset(std::move(spec), std::move(pictures), std::move(set.labels));
}

std::shared_ptr<ImageDataset> open_glyphs(const DataOptions& options, PictureTransform transform) {
  GlyphOptions glyphs;
  if (options.size > 0) glyphs.size = std::exchange(transform.size, 0);  // drawn at that size
  ArraySet set = draw_glyphs(glyphs);
  if (!options.labels) set.class_names.clear();
  return to_dataset(std::move(set), transform);
}

Error unknown_source(const std::string& source) {
  std::vector<std::string> names;
  for (const KnownDataset& set : known_datasets()) names.push_back(set.name);
  const std::string near = nearest_name(source, names);
  return usage_error("the name of a known data set, or the path of a file or folder of pictures",
                     fmt::format("data.source = \"{}\", which is neither", source),
                     near.empty() ? fmt::format("known names: {}", fmt::join(names, ", "))
                                  : fmt::format("did you mean {}?", near));
}

Error unknown_file(const fs::path& path) {
  return {
      "an IDX file, a CIFAR-10 file (.bin), .npy, .npz, a tar or zip archive of pictures, or a "
      "folder of pictures",
      path.string(),
      io::is_picture_name(path) ? "one picture is no data set: name its folder"
                                : "rename the file if it is one of these kinds"};
}

bool is_idx_name(const fs::path& path) {
  return path.filename().string().find("ubyte") != std::string::npos ||
         path.filename().string().find("idx") != std::string::npos;
}

ArraySet read_array(const fs::path& path, bool labels) {
  const std::string ending = io::ending_of(path);
  if (ending == ".npy" || ending == ".npz") return read_numpy_set(path, labels);
  if (ending == ".bin") return read_cifar_set(path, labels);
  if (is_idx_name(path)) return read_idx_set(path, labels);
  throw unknown_file(path);
}

std::shared_ptr<ImageDataset> open_path(const fs::path& path, const DataOptions& options,
                                        const PictureTransform& transform,
                                        const std::vector<std::string>& class_names) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  if (is_folder && cifar_batches(path).empty()) {
    return make_image_folder(path, transform, options.labels);
  }
  if (!is_folder && io::is_archive_name(path)) {
    return make_picture_archive(path, transform, options.labels);
  }
  ArraySet set =
      is_folder ? read_cifar_set(path, options.labels) : read_array(path, options.labels);
  if (options.labels && !class_names.empty()) set.class_names = class_names;
  return to_dataset(std::move(set), transform);
}

Error missing_set(const KnownDataset& set) {
  std::vector<std::string> places;
  for (const fs::path& folder : data_folders()) places.push_back(folder.string());
  return {fmt::format("the data set {} ({})", set.name, fmt::join(set.files, ", ")),
          fmt::format("not all of it in any of: {}", fmt::join(places, ", ")),
          fmt::format("set CALOR_DATA to the folder that holds it, or get it: {}", set.how_to_get)};
}

}  // namespace

void DataOptions::declare(config::Options& options) {
  options.add("data.source", source,
              "The name of a known set, the path of pictures, of a table or of demonstrations, or "
              "picture:FILE, a grey picture as a density.");
  options.add("data.size", size, {0, largest_side}, "pixels",
              "Side after resizing the short side and cropping the middle; 0: as stored.");
  options.add("data.channels", channels, {0, 3}, "",
              "Channels: 1 (grey), 3 (colour), or 0: as stored.");
  options.add("data.pad", pad, {0, largest_pad}, "pixels",
              "Black rows and columns added on each side, after resizing.");
  options.add("data.flip", flip, "Whether training mirrors pictures left-right, half of the time.");
  options.add("data.dequantise_pictures", dequantise_pictures,
              "Whether training adds uniform noise within a grey level to the bytes, which a "
              "likelihood in bits per dimension needs; x = (u + n) / 128 - 1.");
  options.add("data.labels", labels, "Whether the labels are used where the set has them.");
  options.add("data.seed", seed, {0, std::int64_t{1} << 53}, "",
              "Seed of points, of the rows that are held out, and of dequantisation.");
  options.add("data.count", count, {2, 1'000'000'000}, "points", "Points that are drawn.");
  options.add(
      "data.dimensions", dimensions, {0, 1 << 16}, "",
      "Points: dimensions of a space in which their plane lies, by a fixed orthonormal map, "
      "laid out as square as can be; 0: the plane itself.");
  options.add("data.dark_is_mass", dark_is_mass,
              "picture:FILE: whether dark pixels have mass (else bright ones).");
  options.add("data.validation", validation, {0, 0.9}, "share",
              "Rows of a table, episodes of demonstrations, or pictures of each class of a "
              "classifier, held out while training; the weights that do best on them are kept. "
              "Flows of pictures and of points hold nothing out.");
  options.add("data.test", test, {0, 0.9}, "share",
              "Table: rows held out altogether, for calor score and evaluate.");
  options.add("data.copies", copies, {0, 1000}, "",
              "Table: encodings of each row with fresh dequantisation; 0: by the table's size.");
  table.declare(options);
  demonstrations.declare(options);
}

std::shared_ptr<ImageDataset> open_dataset(const DataOptions& options) {
  check(options);
  const PictureTransform transform{
      .channels = options.channels, .size = options.size, .pad = options.pad};
  const auto& known = known_datasets();
  const auto named = std::ranges::find(known, options.source, &KnownDataset::name);
  if (named == known.end()) {
    std::error_code error;
    if (!fs::exists(options.source, error)) throw unknown_source(options.source);
    return open_path(options.source, options, transform, {});
  }
  if (named->files.empty()) return open_glyphs(options, transform);
  const fs::path found = find_known(*named);
  if (found.empty()) throw missing_set(*named);
  return open_path(found, options, transform, named->class_names);
}

}  // namespace calor::data
