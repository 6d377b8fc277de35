// Small classifiers whose features measure pictures: LeNet-5 (MNIST) and the residual networks of
// CIFAR-10, from safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace calor::metric {

struct Reading {
  at::Tensor features;  // float64 [N, d]
  at::Tensor logits;    // fp32 [N, classes]
};

class Classifier {
 public:
  virtual ~Classifier() = default;
  // "LeNet", "ResNet-56", ...
  virtual std::string name() const = 0;
  // uint8 [N, 1 or 3, H, W]: scaled to [0, 1], resized bilinearly to 32 x 32 (half-pixel centres,
  // no antialiasing), channels repeated or averaged as the network needs. Works in pieces.
  Reading read(const at::Tensor& pictures) const;
  // What the layers say, [N, channels, ..] each, from the first to the features': of pictures fp32
  // [N, 1 or 3, H, W] in [0, 1] on the classifier's device, differentiable.
  std::vector<at::Tensor> layers(const at::Tensor& pictures) const;

 protected:
  // fp32 [n, C, 32, 32] in [0, 1], C as in the pictures.
  virtual std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const = 0;
  // From the last layer.
  virtual Reading reading_of(const at::Tensor& last) const = 0;
};

// LeNet (features: 84-d after ReLU) or ResNet-20, -56, ... (64-d pooled), told apart by the
// tensors' names. Error where the file is neither.
std::unique_ptr<Classifier> load_classifier(const std::filesystem::path& file,
                                            at::Device device = at::kCPU);

}  // namespace calor::metric
