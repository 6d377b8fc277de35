// The pictures that calor restore works on, and the pictures from which it learns the prior's
// statistics.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "app/restore_arguments.h"

namespace calor::app {

struct RestoreInputs {
  at::Tensor truth;      // fp32 [n, C, H, W]; undefined where it is not known
  at::Tensor measured;   // fp32 [n, C, h, w]
  at::Tensor reference;  // uint8 [m, C, H, W], real pictures besides those; undefined: none
  std::string source;    // a name or a path
  std::string split;     // as Pictures::split
};

// The mask of --mask, true where a pixel is known; undefined where none was named.
at::Tensor read_mask(const std::string& file);

// Error where a picture has not the size of a measurement (with --simulate: of the model).
RestoreInputs restore_inputs(const RestoreArguments& a, const RunModel& model,
                             const restore::Measurement& measurement);

struct PriorPictures {
  at::Tensor pictures;  // fp32 [n, C, H, W]
  std::string source;
};

// Pictures of the model's own training set, of the label where there is one (classes(): none), or,
// where the set is not there, samples of the model: as many as --calibration asks for.
PriorPictures prior_pictures(const RestoreArguments& a, const RunModel& model, std::int64_t label,
                             const solve::GenerateOptions& options);

}  // namespace calor::app
