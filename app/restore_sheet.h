// The sheet of pictures that calor restore writes.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "app/restore_quality.h"

namespace calor::app {

// A row for each of the first pictures, and columns with titles: the truth where it is known, the
// measurement (small ones enlarged pixel by pixel, unknown pixels grey), the baselines, some of the
// samples [n, samples, C, H, W], their mean and their standard deviation, white where it is half
// of the range from black to white or more.
void write_sheet(const std::string& file, const RestoreInputs& inputs,
                 const restore::Measurement& measurement, const std::vector<RestoredBy>& baselines,
                 const at::Tensor& samples, const data::ItemSpec& items);

}  // namespace calor::app
