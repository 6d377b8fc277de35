// What a flow along a path of levels (IHDM) begins with: blurred pictures of its training set
// (arXiv 2206.13397: the law at the strongest blur is that of the data, kept as it is).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "calor/core/random.h"
#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/solve/generate.h"

namespace calor::solve {

// The pictures of `set` that items begin with: that of item i is drawn by its key, among those of
// class labels[i] (int64 [N]) where it is one, else among all; repetitions happen. A set of other
// classes than `classes` has none. Error where a class has no picture.
std::vector<std::int64_t> starting_pictures(const data::Dataset& set, std::int64_t classes,
                                            std::span<const RandomKey> keys,
                                            const at::Tensor& labels);

// Those pictures blurred as at t = 0, without noise. Error where they are not of the flow's shape.
Start blurred_start(const flow::Flow& flow, const data::Dataset& set, std::vector<RandomKey> keys,
                    const at::Tensor& labels);

}  // namespace calor::solve
