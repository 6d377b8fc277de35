// From what a person writes (a name or a path) to a set of pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/dataset.h"
#include "calor/data/demonstrations.h"
#include "calor/data/table_options.h"

namespace calor::data {

struct DataOptions {
  std::string source = "glyphs";  // a name of known_datasets(), or a path
  std::int64_t size = 0;          // side in pixels after resize and centre crop; 0: as stored
  std::int64_t channels = 0;      // 1, 3, or 0: as stored
  std::int64_t pad = 0;           // rows and columns of black added on each side (28 -> 32 with 2)
  bool flip = false;              // random left-right mirroring while training
  bool dequantise_pictures = false;  // train on bytes with uniform noise within a grey level
  bool labels = true;                // use the labels where the set has them
  std::int64_t seed = 0;             // of points, of what is held out, and of dequantisation
  std::int64_t count = 200'000;      // points drawn
  std::int64_t dimensions = 0;       // of the space that the points' plane lies in; 0: the plane
  bool dark_is_mass = true;          // of a picture as a density
  double validation = 0.1;           // shares of a table's rows that are held out
  double test = 0;
  std::int64_t copies = 0;  // encodings of each row of a table; 0: by its size
  TableOptions table = {};
  DemonstrationOptions demonstrations = {};

  void declare(config::Options& options);
};

// Pictures. A source that is a known name means that set, looked up in data_folders(); any other is
// a path
// ("./mnist" is a path, too): an IDX file of pictures (labels beside it found by the usual name), a
// CIFAR-10 binary file or a folder of them, a folder of PNG/JPEG pictures (sub-folders are labels),
// a tar or zip archive of pictures, or a .npy/.npz array (uint8 [n, H, W], [n, C, H, W] or [n, H,
// W, C]; npz keys "images"/"x"/"arr_0" and "labels"/"y"). array_sets.h, image_folder.h and
// picture_archive.h say more.
// Error where the set is missing: names the places looked at and how to get it.
std::shared_ptr<ImageDataset> open_dataset(const DataOptions& options);

struct KnownDataset {
  std::string name;
  std::string description;
  std::string how_to_get;                // public address or command
  std::vector<std::string> files;        // relative to a data folder; empty: made by Calor
  std::string path;                      // the file or folder of them that is opened
  std::vector<std::string> class_names;  // where the files have only numbers
};
const std::vector<KnownDataset>& known_datasets();

// Where a known set's path was found with all its files; empty where they are not there. A file
// listed as .gz may also lie there unpacked.
std::filesystem::path find_known(const KnownDataset& set);

// The folders that are looked at, in order: $CALOR_DATA (where set), ../shared/data beside the
// working folder, the user's cache ($XDG_CACHE_HOME/calor or ~/.cache/calor).
std::vector<std::filesystem::path> data_folders();

}  // namespace calor::data
