// Inception-v3 as the Frechet inception distance takes it (Szegedy et al., "Rethinking the
// Inception Architecture for Computer Vision", 2016; Heusel et al., "GANs Trained by a Two
// Time-Scale Update Rule", 2017): the network of 2015 with 1,008 classes, whose averages leave the
// padding out and whose last block pools by the maximum. Features: 2,048 numbers, the mean of the
// last block.
#pragma once

#include <memory>

#include "calor/io/safetensors.h"
#include "calor/metric/classifier.h"

namespace calor::metric {

// The name of its features, and no other's.
inline constexpr const char* inception_name = "Inception-v3";

// Whether a file's tensors have its names.
bool is_inception(const io::TensorFile& weights);

// Weights (fp32, on the device to compute on) under PyTorch's names: LAYER.conv.weight,
// LAYER.bn.{weight, bias, running_mean, running_var}, fc.weight [1008, 2048], fc.bias. Error naming
// the first that is missing or of another shape.
std::unique_ptr<Classifier> make_inception(const io::TensorFile& weights);

}  // namespace calor::metric
