#include "app/trajectory.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "calor/data/dequantise.h"
#include "calor/io/picture.h"
#include "calor/report/grid.h"

namespace calor::app {

solve::Observe TrajectoryRecorder::observer() {
  if (items_ == 0) return {};
  return [this](std::int64_t /*step*/, double /*t*/, const at::Tensor& z, const at::Tensor& clean) {
    const std::int64_t count = std::min(items_, z.size(0));
    states_.push_back(z.narrow(0, 0, count).cpu());
    predictions_.push_back(clean.narrow(0, 0, count).cpu());
  };
}

void TrajectoryRecorder::write(const std::string& file, const at::Tensor& samples,
                               const data::ItemSpec& pictures) const {
  constexpr std::size_t most_columns = 12;
  const std::size_t steps = states_.size();
  const std::size_t columns = std::min(steps, most_columns);
  std::vector<at::Tensor> tiles;
  for (std::int64_t item = 0; item < states_.front().size(0); ++item) {
    for (const auto* row : {&states_, &predictions_}) {
      for (std::size_t c = 0; c < columns; ++c) {
        const std::size_t step = columns == 1 ? 0 : c * (steps - 1) / (columns - 1);
        tiles.push_back((*row)[step][item]);
      }
      tiles.push_back(samples[item]);
    }
  }
  const at::Tensor bytes = data::to_bytes(at::stack(tiles), pictures);
  io::write_png(file, report::tile(bytes, static_cast<std::int64_t>(columns) + 1, 48));
}

}  // namespace calor::app
