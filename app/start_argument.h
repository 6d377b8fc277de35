// What the items of a model begin with: noise, or, for models along a path of levels (IHDM),
// blurred pictures of a set.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "app/run_argument.h"
#include "calor/solve/generate.h"

namespace calor::app {

// The start of items with these keys and labels (int64 [keys]). `source`: a known set of pictures
// or a path, brought to size and channels as the model's training set was; empty: the set that the
// model was trained on. Error where that set is not there; UsageError where the model begins at
// noise and pictures are named, or where it does not say what it was trained on.
solve::Start open_start(const RunModel& model, const std::string& source,
                        std::vector<RandomKey> keys, const at::Tensor& labels);

}  // namespace calor::app
