// The spaces in which calor evaluate compares pictures: features of classifiers, or the pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/picture_sets.h"
#include "calor/metric/feature_cache.h"

namespace calor::app {

// The weights of classifiers that are known by name, in the first data folder that has them; those
// that are nowhere are left out.
std::vector<std::filesystem::path> known_classifiers();

// Float64 rows of each set of pictures.
struct PictureFeatures {
  std::string name, file;  // "LeNet" and its weights; "pixels" and nothing
  at::Tensor samples, reference, floor, floor_reference;
};

// Reads pictures with classifiers, those of real pictures from a cache where they are there.
class FeatureReader {
 public:
  // Loads the files named, or those known, in a data folder's weights/; none for the pixels. Error
  // where nothing is known, or a file is no classifier.
  explicit FeatureReader(const EvaluateArguments& a);

  std::vector<PictureFeatures> read_all(const PictureSets& sets) const;
  // UsageError where --classifier is there and does not know these classes, by their number and,
  // where its file says them, their names.
  void check_classes(const std::vector<std::string>& names) const;
  // How it reads the samples and the reference, float [n, classes] each.
  struct Logits {
    std::string name;
    at::Tensor samples, reference;
  };
  Logits read_classes(const PictureSets& sets) const;

 private:
  struct Loaded {
    std::filesystem::path file;
    std::unique_ptr<metric::Classifier> classifier;
  };
  PictureFeatures read(const Loaded& loaded, const PictureSets& sets) const;

  metric::FeatureCache cache_;
  std::vector<Loaded> features_;
  Loaded classes_;
};

}  // namespace calor::app
