// From the arrays of calor/io to pictures [n, channels, H, W] and class labels from 0.
#include "calor/data/array_sets.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/cifar.h"
#include "calor/io/ending.h"
#include "calor/io/idx.h"
#include "calor/io/npy.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_classes = 100'000;

std::string describe(const at::Tensor& array) {
  return fmt::format("{} [{}]", c10::toString(array.scalar_type()), fmt::join(array.sizes(), ", "));
}

bool is_channel_count(std::int64_t n) { return n == 1 || n == 3; }

// The array as uint8 [n, channels, H, W]. Of [n, 3, H, 3] the first 3 is taken for the channels.
at::Tensor as_pictures(const at::Tensor& array, const std::string& name) {
  if (array.scalar_type() != at::kByte) {
    throw Error("pictures as unsigned bytes (uint8), 0 to 255",
                fmt::format("{} is {}", name, describe(array)),
                "convert them, in Python for example with (x * 255).round().astype(\"uint8\") "
                "where x lies in 0..1");
  }
  at::Tensor pictures;
  if (array.dim() == 3) pictures = array.unsqueeze(1);
  if (array.dim() == 4 && is_channel_count(array.size(1))) {
    pictures = array;
  } else if (array.dim() == 4 && is_channel_count(array.size(3))) {
    pictures = array.permute({0, 3, 1, 2});
  }
  if (!pictures.defined() || pictures.numel() == 0) {
    throw Error(
        "pictures of shape [n, H, W], [n, channels, H, W] or [n, H, W, channels], n at "
        "least 1, 1 or 3 channels",
        fmt::format("{} is {}", name, describe(array)),
        "reshape the array, or name the one that holds the pictures");
  }
  return pictures.contiguous();
}

void set_labels(ArraySet& set, const at::Tensor& labels, const std::string& name) {
  const std::int64_t n = set.pictures.size(0);
  const bool integral = at::isIntegralType(labels.scalar_type(), /*includeBool=*/false);
  if (!integral || labels.dim() < 1 || labels.size(0) != n || labels.numel() != n) {
    throw Error(fmt::format("one integer label per picture ([{}])", n),
                fmt::format("{} is {}", name, describe(labels)),
                "use the labels that belong to these pictures, or set data.labels=false");
  }
  set.labels = labels.reshape({n}).to(at::kLong);
  const auto low = set.labels.min().item<std::int64_t>();
  const auto high = set.labels.max().item<std::int64_t>();
  if (low < 0 || high >= most_classes) {
    throw Error(fmt::format("labels from 0 to at most {}", most_classes - 1),
                fmt::format("{} has labels from {} to {}", name, low, high),
                "number the classes from 0, or set data.labels=false");
  }
  for (std::int64_t k = 0; k <= high; ++k) set.class_names.push_back(std::to_string(k));
}

void replace_once(std::string& text, std::string_view what, std::string_view by) {
  const std::size_t place = text.find(what);
  if (place != std::string::npos) text.replace(place, what.size(), by);
}

// The labels' file of an IDX images file; empty where the name does not say it.
fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  if (name.find("images") == std::string::npos) return {};
  replace_once(name, "images", "labels");
  replace_once(name, "idx3", "idx1");
  replace_once(name, "idx4", "idx1");
  const fs::path labels = images.parent_path() / name;
  const fs::path other = labels.extension() == ".gz" ? fs::path(labels).replace_extension()
                                                     : fs::path(labels.string() + ".gz");
  std::error_code error;
  return !fs::exists(labels, error) && fs::exists(other, error) ? other : labels;
}

// The first of `names` that the archive holds; null where it holds none.
const std::pair<const std::string, at::Tensor>* find_array(
    const std::map<std::string, at::Tensor>& arrays, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = arrays.find(name);
    if (found != arrays.end()) return &*found;
  }
  return nullptr;
}

}  // namespace

ArraySet read_idx_set(const fs::path& images, bool use_labels) {
  ArraySet set{.pictures = as_pictures(io::read_idx(images), images.string()),
               .labels = {},
               .class_names = {}};
  const fs::path labels = use_labels ? labels_beside(images) : fs::path();
  if (labels.empty()) return set;
  std::error_code error;
  if (!fs::exists(labels, error)) {
    throw Error(fmt::format("the labels of {} beside it", images.string()),
                labels.string() + " is not there", "put it there, or set data.labels=false");
  }
  set_labels(set, io::read_idx(labels), labels.string());
  return set;
}

std::vector<fs::path> cifar_batches(const fs::path& folder) {
  std::vector<fs::path> batches;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("data_batch_") && name.ends_with(".bin")) batches.push_back(it->path());
  }
  std::ranges::sort(batches);
  return batches;
}

ArraySet read_cifar_set(const fs::path& path, bool use_labels) {
  std::error_code error;
  const std::vector<fs::path> files =
      fs::is_directory(path, error) ? cifar_batches(path) : std::vector{path};
  std::vector<at::Tensor> pictures;
  std::vector<at::Tensor> labels;
  for (const fs::path& file : files) {
    io::CifarRecords records = io::read_cifar10(file);
    pictures.push_back(std::move(records.pictures));
    labels.push_back(std::move(records.labels));
  }
  ArraySet set{
      .pictures = as_pictures(at::cat(pictures), path.string()), .labels = {}, .class_names = {}};
  if (!use_labels) return set;
  set.labels = at::cat(labels);
  set.class_names = {"airplane", "automobile", "bird",  "cat",  "deer",
                     "dog",      "frog",       "horse", "ship", "truck"};
  return set;
}

ArraySet read_numpy_set(const fs::path& path, bool use_labels) {
  const std::string file = path.string();
  if (io::ending_of(path) == ".npy") {
    return {.pictures = as_pictures(io::read_npy(path), file), .labels = {}, .class_names = {}};
  }
  const std::map<std::string, at::Tensor> arrays = io::read_npz(path);
  const auto* images = find_array(arrays, {"images", "x", "arr_0"});
  if (images == nullptr) {
    std::vector<std::string> names;
    for (const auto& [name, array] : arrays) names.push_back(name);
    throw Error("an array of pictures under the name images, x or arr_0",
                fmt::format("{} holds {}", file,
                            names.empty() ? "no array" : fmt::format("{}", fmt::join(names, ", "))),
                "save it again under one of these names");
  }
  ArraySet set{.pictures = as_pictures(images->second, fmt::format("{}: {}", file, images->first)),
               .labels = {},
               .class_names = {}};
  const auto* labels = use_labels ? find_array(arrays, {"labels", "y"}) : nullptr;
  if (labels != nullptr) {
    set_labels(set, labels->second, fmt::format("{}: {}", file, labels->first));
  }
  return set;
}

}  // namespace calor::data
