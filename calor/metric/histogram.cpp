#include "calor/metric/histogram.h"

#include <ATen/ATen.h>

#include <vector>

#include "calor/metric/picture_pair.h"

namespace calor::metric {
namespace {

constexpr std::int64_t levels = 256;

at::Tensor cumulative(const at::Tensor& histograms) { return histograms.mean(0).cumsum(1); }

}  // namespace

at::Tensor channel_histograms(const at::Tensor& pictures) {
  check_pictures(pictures);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : in_pieces(pictures)) {
    const at::Tensor values = part.flatten(2).flatten(0, 1).to(at::kLong);  // [n C, pixels]
    at::Tensor counts = at::zeros({values.size(0), levels}, at::kDouble);
    counts.scatter_add_(1, values, at::ones(values.sizes(), at::kDouble));
    parts.push_back((counts / values.size(1)).view({part.size(0), part.size(1), levels}));
  }
  return at::cat(parts);
}

// Between laws on a line, the area between the distribution functions (Vallender 1974).
at::Tensor histogram_distance(const at::Tensor& a, const at::Tensor& b) {
  return (cumulative(a) - cumulative(b)).abs().sum(1) / (levels - 1);
}

}  // namespace calor::metric
