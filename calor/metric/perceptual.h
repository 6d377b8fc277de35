// How far apart two pictures look: differences of a classifier's layers (Zhang et al., "The
// unreasonable effectiveness of deep features as a perceptual metric", 2018), without weights
// learnt from people's judgements.
#pragma once

#include <ATen/core/Tensor.h>

#include "calor/metric/classifier.h"

namespace calor::metric {

// made, wanted: fp32 [N, 1 or 3, H, W] in about [-1, 1]. At each place of each layer the channels
// are scaled to length 1; the result is the squared distance of these, the mean over pictures,
// places and layers: between 0 and 2 where activations are not negative. A scalar, differentiable.
at::Tensor perceptual_distance(const Classifier& classifier, const at::Tensor& made,
                               const at::Tensor& wanted);

}  // namespace calor::metric
