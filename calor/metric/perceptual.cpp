#include "calor/metric/perceptual.h"

#include <ATen/ATen.h>

namespace calor::metric {
namespace {

// Channels of length 1; the small number keeps the gradient finite where all of them are silent.
at::Tensor unit_channels(const at::Tensor& layer) {
  return layer / (layer.square().sum(1, true) + 1e-10).sqrt();
}

}  // namespace

at::Tensor perceptual_distance(const Classifier& classifier, const at::Tensor& made,
                               const at::Tensor& wanted) {
  const auto own = classifier.layers((made + 1) / 2);
  const auto other = classifier.layers((wanted + 1) / 2);
  at::Tensor sum = at::zeros({}, made.options());
  for (std::size_t i = 0; i < own.size(); ++i) {
    sum = sum + (unit_channels(own[i]) - unit_channels(other[i])).square().sum(1).mean();
  }
  return sum / static_cast<double>(own.size());
}

}  // namespace calor::metric
