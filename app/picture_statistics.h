// What can be measured of pictures without a classifier: power by frequency, the patch grid, and
// the histograms of the channels.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "app/picture_sets.h"

namespace calor::app {

// Of one set of pictures.
struct PictureStatistics {
  at::Tensor power;       // float64 [n, bands], radial_power
  at::Tensor histograms;  // float64 [n, C, 256]
};
PictureStatistics statistics_of(const at::Tensor& pictures);

// Prints and returns them; the keys are in docs/evaluation.md. Draws the curves of --plot.
nlohmann::ordered_json report_statistics(const Globals& globals, const EvaluateArguments& a,
                                         const PictureSets& sets);

}  // namespace calor::app
