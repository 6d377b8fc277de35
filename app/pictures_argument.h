// The pictures that a command is given for a model of pictures: a set by name or path, or the part
// of the model's own set that it was not trained on.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/run_argument.h"
#include "calor/data/open.h"

namespace calor::app {

struct Pictures {
  std::shared_ptr<const data::ImageDataset> set;
  std::vector<std::int64_t> items;  // of the set, ascending
  std::string source;               // its name or path
  std::string split;  // "train": the model's own training set; "test": a set named NAME-test;
                      // "given": any other
};

// How the model's training pictures were read; those of a converted model, which does not say, have
// no source and are brought to its size.
data::DataOptions reading_of(const RunModel& model);

// `source`: a known set or a path, brought to size, channels and padding as the model's training
// set was; empty: the `split` ("test", "validation" or "train") of the set that the model was
// trained on. `count` of its pictures are drawn without repetition, a function of the seed; all
// where there are no more. UsageError where nothing is held out, or where the model does not say
// what it was trained on.
Pictures open_pictures(const RunModel& model, const std::string& source, const std::string& split,
                       std::int64_t count, std::int64_t seed, bool labels);

// A set's pictures at these numbers, uint8 [n, C, H, W].
at::Tensor pictures_at(const data::ImageDataset& set, std::span<const std::int64_t> items);

}  // namespace calor::app
