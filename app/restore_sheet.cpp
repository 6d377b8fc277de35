#include "app/restore_sheet.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "calor/data/dequantise.h"
#include "calor/io/picture.h"
#include "calor/report/grid.h"
#include "calor/report/titles.h"

namespace calor::app {
namespace {

constexpr std::int64_t most_rows = 12;
constexpr std::int64_t most_samples = 4;
constexpr std::int64_t least_side = 56;  // enough for a title

// As large as the model's pictures; what is not known is the middle of the range.
at::Tensor shown(const at::Tensor& measured, const restore::Measurement& measurement,
                 const data::ItemSpec& items) {
  const at::Tensor known = (measured * measurement.support().cpu()).to(at::kFloat);
  return known.repeat_interleave(items.height / measured.size(2), 2)
      .repeat_interleave(items.width / measured.size(3), 3);
}

}  // namespace

void write_sheet(const std::string& file, const RestoreInputs& inputs,
                 const restore::Measurement& measurement, const std::vector<RestoredBy>& baselines,
                 const at::Tensor& samples, const data::ItemSpec& items) {
  const std::int64_t rows = std::min(most_rows, samples.size(0));
  std::vector<at::Tensor> panels;
  const auto add = [&](const std::string& title, const at::Tensor& pictures) {
    const at::Tensor bytes = data::to_bytes(pictures.narrow(0, 0, rows), items);
    panels.push_back(report::with_title(report::tile(bytes, 1, least_side), title));
  };
  if (inputs.truth.defined()) add("truth", inputs.truth);
  add("measured", shown(inputs.measured, measurement, items));
  for (const RestoredBy& way : baselines) {
    if (way.name != "measured") add(way.name, way.pictures);
  }
  for (std::int64_t k = 0; k < std::min(most_samples, samples.size(1)); ++k) {
    add(fmt::format("sample {}", k + 1), samples.select(1, k));
  }
  if (samples.size(1) > 1) {
    add("mean", samples.mean(1));
    add("spread", 2 * samples.std(1, true) - 1);  // half of the range [-1, 1] is 1
  }
  io::write_png(file, report::side_by_side(panels));
}

}  // namespace calor::app
