// Whether samples repeat the training pictures: how near the nearest of these are, beside the same
// for real pictures.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/picture_sets.h"

namespace calor::app {

// The training pictures that are searched, and real pictures that no training has seen.
struct NeighbourSearch {
  std::vector<std::int64_t> items;  // numbers in the training set, ascending; none: no search
  std::shared_ptr<const data::ImageDataset> held_out;  // null: there is none
  std::string held_out_name;
};

// Error where --searched or --held-out does not fit the pictures.
NeighbourSearch open_search(const EvaluateArguments& a, const RunModel* model,
                            const RealSource& real);

// Prints and returns what is found, and draws the sheet of --neighbours; null where nothing is to
// be searched.
nlohmann::ordered_json report_neighbours(const Globals& globals, const EvaluateArguments& a,
                                         const PictureSets& sets, const NeighbourSearch& search);

}  // namespace calor::app
