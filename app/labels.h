// Labels as a person writes them, and the labels of a grid.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calor/data/dataset.h"

namespace calor::app {

// int64 [count]: column k of a grid of `columns` shows class k (wrapping); "none" where there are
// no classes.
at::Tensor cycling_labels(std::int64_t count, std::int64_t classes, std::int64_t columns);

// int64 [count]: classes in turn, each as often as its share of these counts, to one. Where the
// counts are equal that is cycling; zeros where there are none.
at::Tensor labels_in_shares(std::int64_t count, const std::vector<std::int64_t>& counts);

// int64 [count] from what follows --label: a class's number or name, or "none"; empty: cycling.
// UsageError with the nearest name or the range.
at::Tensor labels_from(const std::string& text, const data::ItemSpec& pictures, std::int64_t count,
                       std::int64_t columns);

}  // namespace calor::app
