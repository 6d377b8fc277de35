// A picture of sampling: the state and the predicted clean picture, step by step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calor/data/dataset.h"
#include "calor/solve/sampler.h"

namespace calor::app {

class TrajectoryRecorder {
 public:
  // Records the first `items` pictures of the first batch; 0: nothing.
  explicit TrajectoryRecorder(std::int64_t items) : items_(items) {}

  solve::Observe observer();

  // Two rows a picture: z above, the prediction below; time runs to the right (at most 12 columns,
  // evenly chosen), the sample at the end.
  void write(const std::string& file, const at::Tensor& samples,
             const data::ItemSpec& pictures) const;

 private:
  std::int64_t items_;
  std::vector<at::Tensor> states_, predictions_;
};

}  // namespace calor::app
