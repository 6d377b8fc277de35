// Some items of a set, and the rest: what is held out.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "calor/data/dataset.h"

namespace calor::data {

// These items of a set, in this order; `name` tells the choice in the fingerprint.
std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> set,
                                      std::vector<std::int64_t> items, std::string name);

struct HeldOut {
  std::shared_ptr<const Dataset> rest;
  std::shared_ptr<const Dataset> held_out;  // none where the share comes to no item
};
// A share of each class (0 <= share < 1), drawn by the seed; at least one of a class stays.
HeldOut hold_out(const std::shared_ptr<const Dataset>& set, double share, std::int64_t seed);

}  // namespace calor::data
