// Curves in one frame, as a picture: what the evaluation of pictures draws.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calor/report/colour_map.h"

namespace calor::report {

struct Curve {
  std::string name;    // for the legend
  at::Tensor x, y;     // float64 [n] each, n > 1, x ascending
  Colour colour = {};  //
};

struct CurveFrame {
  std::int64_t width = 560, height = 400;  // pixels
  std::string x_name = {};
  bool logarithmic = false;  // y is drawn by its logarithm; every y is above 0
};

// uint8 [3, height, width]: curves one above the other, later ones on top, in a frame that fits
// them, with ticks and a legend. Error where there is no curve, or one that is not as said.
at::Tensor curve_picture(const std::vector<Curve>& curves, const CurveFrame& frame);

}  // namespace calor::report
