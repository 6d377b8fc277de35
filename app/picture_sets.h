// What calor evaluate compares: samples, real pictures to compare them with, and, as a measure of
// what real pictures reach, others of these.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "app/evaluate.h"
#include "calor/data/dataset.h"

namespace calor::app {

struct PictureSamples {
  at::Tensor pictures;         // uint8 [n, C, H, W]
  at::Tensor labels;           // int64 [n]; undefined where there are no classes
  at::Tensor own;              // int64 [n]: their numbers in the reference's set; undefined: none
  nlohmann::ordered_json how;  // nfe, solver, guidance, precision and seed of a model's samples
  std::string text;            // for people, one line
};

// Real pictures, opened.
struct RealSource {
  std::shared_ptr<const data::ImageDataset> set;  // the whole
  std::string source, split;
  std::vector<std::string> warnings;
  // What nearest neighbours are searched in: a model's own training set where it is known.
  std::shared_ptr<const data::ImageDataset> training;
  std::string training_source;
};

// Those of them that are compared.
struct RealPictures : RealSource {
  at::Tensor reference;         // uint8 [m, C, H, W], some of the set
  at::Tensor reference_labels;  // int64 [m]; undefined where there are no classes
  // What is compared in the same way for the floor: `floor` with `floor_reference`.
  at::Tensor floor, floor_reference;
  std::string floor_text;
};

// What there is before anything is drawn, so that mistakes are found before minutes are spent.
struct PictureSources {
  RealSource real;
  std::shared_ptr<const data::ImageDataset> given;  // the samples; null where a model draws them
  data::ItemSpec samples;                           // what one of them is
};

struct PictureSets {
  PictureSamples samples;
  RealPictures real;
};

// Error where something is no set of pictures or shapes differ.
PictureSources open_picture_sources(const EvaluateArguments& a, const RunModel* model);

// Draws or reads the samples and chooses real pictures, in an order shuffled by a fixed key or as
// stored. Samples that are of the reference's own set are other pictures of it. Error where there
// are too few.
PictureSets picture_sets(const Globals& globals, const EvaluateArguments& a, const RunModel* model,
                         const PictureSources& sources);

}  // namespace calor::app
