#include "app/picture_features.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/user_folders.h"
#include "calor/flow/model_file.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* known[] = {"mnist_lenet.safetensors", "cifar10_resnet56.safetensors"};

// In the first data folder that has it; empty where none does.
fs::path find_weights(const char* name) {
  for (const auto& folder : data::data_folders()) {
    std::error_code ignored;
    if (fs::exists(folder / "weights" / name, ignored)) return folder / "weights" / name;
  }
  return {};
}

std::vector<fs::path> require_known() {
  std::vector<fs::path> files = known_classifiers();
  if (!files.empty()) return files;
  std::vector<std::string> places;
  for (const auto& folder : data::data_folders()) places.push_back((folder / "weights").string());
  throw usage_error(fmt::format("a classifier for the features: {}", fmt::join(known, " or ")),
                    fmt::format("neither in any of: {}", fmt::join(places, ", ")),
                    "set CALOR_DATA, name one with --features FILE, train one with calor train "
                    "classifier-pictures, or compare pixels with --features none");
}

std::vector<fs::path> files_of(const EvaluateArguments& a) {
  if (a.features.empty()) return require_known();
  if (std::ranges::find(a.features, "none") != a.features.end()) {
    throw usage_error("--features none alone, or files", "both", "evaluate twice");
  }
  std::vector<fs::path> files;
  for (const auto& name : a.features) files.push_back(flow::model_file_of(name));
  return files;
}

// Brightness from 0 to 1, number by number.
at::Tensor pixels(const at::Tensor& pictures) { return pictures.flatten(1).to(at::kDouble) / 255; }

PictureFeatures pixel_features(const PictureSets& sets) {
  return {.name = "pixels",
          .file = "",
          .samples = pixels(sets.samples.pictures),
          .reference = pixels(sets.real.reference),
          .floor = pixels(sets.real.floor),
          .floor_reference = pixels(sets.real.floor_reference)};
}

fs::path cache_folder(const EvaluateArguments& a) {
  const fs::path cache = data::user_cache_folder();
  return !a.no_cache && !cache.empty() ? cache / "features" : fs::path();
}

}  // namespace

std::vector<fs::path> known_classifiers() {
  std::vector<fs::path> files;
  for (const char* name : known) {
    const fs::path file = find_weights(name);
    if (!file.empty()) files.push_back(file);
  }
  return files;
}

FeatureReader::FeatureReader(const EvaluateArguments& a) : cache_(cache_folder(a)) {
  if (!a.no_features()) {
    for (const fs::path& file : files_of(a)) {
      features_.push_back({.file = file, .classifier = metric::load_classifier(file)});
    }
  }
  if (!a.classifier.empty()) {
    const fs::path file = flow::model_file_of(a.classifier);
    classes_ = {.file = file, .classifier = metric::load_classifier(file)};
  }
}

PictureFeatures FeatureReader::read(const Loaded& loaded, const PictureSets& sets) const {
  const auto real = [&](const at::Tensor& pictures) {
    return cache_.read(*loaded.classifier, loaded.file, pictures, stop_if_asked).reading.features;
  };
  PictureFeatures features{
      .name = loaded.classifier->name(),
      .file = loaded.file.string(),
      .samples = loaded.classifier->read(sets.samples.pictures, stop_if_asked).features,
      .reference = real(sets.real.reference),
      .floor = {},
      .floor_reference = {}};
  stop_if_asked();
  if (sets.real.floor_reference.is_same(sets.real.reference)) {
    features.floor = real(sets.real.floor);
    features.floor_reference = features.reference;
  } else {
    const std::int64_t half = sets.real.floor.size(0);
    features.floor = features.reference.narrow(0, 0, half);
    features.floor_reference = features.reference.narrow(0, half, half);
  }
  return features;
}

std::vector<PictureFeatures> FeatureReader::read_all(const PictureSets& sets) const {
  if (features_.empty()) return {pixel_features(sets)};
  std::vector<PictureFeatures> all;
  for (const Loaded& loaded : features_) {
    all.push_back(read(loaded, sets));
    stop_if_asked();
  }
  return all;
}

void FeatureReader::check_classes(const std::vector<std::string>& names) const {
  if (!classes_.classifier) return;
  const std::string file = classes_.file.string();
  auto known = classes_.classifier->class_names();
  if (known.empty()) {  // all that is known is their number
    const at::Tensor grey = at::zeros({1, 1, 32, 32}, at::kByte);
    known = names;
    known.resize(static_cast<std::size_t>(classes_.classifier->read(grey).logits.size(1)));
  }
  const std::string difference = data::class_difference(known, names);
  require_usage(difference.empty(), "a classifier of the samples' classes for --classifier",
                fmt::format("{} in {} and in the data", difference, file),
                "name a classifier of these data, or leave --classifier out");
}

FeatureReader::Logits FeatureReader::read_classes(const PictureSets& sets) const {
  const metric::Classifier& classifier = *classes_.classifier;
  return {.name = classifier.name(),
          .samples = classifier.read(sets.samples.pictures, stop_if_asked).logits,
          .reference = cache_.read(classifier, classes_.file, sets.real.reference, stop_if_asked)
                           .reading.logits};
}

}  // namespace calor::app
