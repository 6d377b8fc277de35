// Whether samples repeat the training pictures: how near the nearest of these are, beside the same
// for real pictures.
#pragma once

#include "app/picture_sets.h"

namespace calor::app {

// Prints and returns what is found, and draws the sheet of --neighbours; null where nothing is to
// be searched.
nlohmann::ordered_json report_neighbours(const Globals& globals, const EvaluateArguments& a,
                                         const RunModel* model, const PictureSets& sets);

}  // namespace calor::app
