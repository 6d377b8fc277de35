// Classifiers whose features measure pictures: LeNet-5 (MNIST), the residual networks of
// CIFAR-10, Inception-v3, and those that Calor trains (net/picture_classifier.h), from safetensors
// files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
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
  // Of the logits; none where the file does not say them.
  virtual std::vector<std::string> class_names() const { return {}; }
  // uint8 [N, 1 or 3, H, W]: scaled to [0, 1], resized bilinearly to the network's sides
  // (half-pixel centres, no antialiasing), channels repeated or averaged as it needs. Works in
  // pieces; calls `before_piece`, which may throw to stop it.
  Reading read(const at::Tensor& pictures, const std::function<void()>& before_piece = {}) const;
  // What the layers say, [N, channels, ..] each, from the first to the features': of pictures fp32
  // [N, 1 or 3, H, W] in [0, 1] on the classifier's device, differentiable.
  std::vector<at::Tensor> layers(const at::Tensor& pictures) const;

 protected:
  // Of the pictures that the network reads.
  virtual at::IntArrayRef sides() const = 0;
  virtual std::int64_t pictures_at_once() const { return 500; }
  // fp32 [n, C, sides] in [0, 1], C as in the pictures.
  virtual std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const = 0;
  // From the last layer.
  virtual Reading reading_of(const at::Tensor& last) const = 0;
};

// LeNet (features: 84-d after ReLU; 32 x 32 pixels), ResNet-20, -56, ... (64-d pooled; 32 x 32),
// Inception-v3 (inception.h) or one trained by Calor (its last width, pooled; the sides that it was
// trained on), told apart by metadata and the tensors' names. Error where the file is none of them.
std::unique_ptr<Classifier> load_classifier(const std::filesystem::path& file,
                                            at::Device device = at::kCPU);

}  // namespace calor::metric
