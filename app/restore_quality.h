// How good restored pictures are beside the baselines, where the true ones are known.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "app/command.h"
#include "app/restore_inputs.h"

namespace calor::app {

// One way to restore: a picture for each measured one, fp32 [n, C, H, W].
struct RestoredBy {
  std::string name;
  at::Tensor pictures;
};

// For each way: PSNR, SSIM, disagreement with the measurement and, where there is a reference and
// the weights of a classifier in a data folder, the Frechet distance to real pictures in its
// features, and the distance of the true pictures from the reference as what none can be expected
// to fall below. Says them as a table, too.
nlohmann::ordered_json restoration_quality(const Globals& globals, const RestoreInputs& inputs,
                                           const restore::Measurement& measurement,
                                           std::vector<RestoredBy> ways,
                                           const data::ItemSpec& items);

}  // namespace calor::app
