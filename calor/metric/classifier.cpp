#include "calor/metric/classifier.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/safetensors.h"
#include "calor/metric/inception.h"
#include "calor/net/classifier_file.h"

namespace calor::metric {
namespace {

constexpr std::int64_t cifar_sides[] = {32, 32};

// The shape that a tensor of the file must have; 0: any size.
void check_shape(const io::TensorFile& file, const std::string& name,
                 const std::vector<std::int64_t>& shape) {
  const at::IntArrayRef found = file.at(name).sizes();
  bool fits = found.size() == shape.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) {
    fits = shape[i] == 0 || shape[i] == found[i];
  }
  if (fits) return;
  throw Error(fmt::format("{} of shape [{}]", name, fmt::join(shape, ", ")),
              fmt::format("[{}]", fmt::join(found, ", ")),
              "give the weights of LeNet-5 or of a residual network for CIFAR-10");
}

void check_lenet(const io::TensorFile& file) {
  check_shape(file, "convnet.c1.weight", {6, 1, 5, 5});
  check_shape(file, "convnet.c3.weight", {16, 6, 5, 5});
  check_shape(file, "convnet.c5.weight", {120, 16, 5, 5});
  check_shape(file, "fc.f6.weight", {84, 120});
  check_shape(file, "fc.f7.weight", {0, 84});
  check_shape(file, "convnet.c1.bias", {6});
  check_shape(file, "convnet.c3.bias", {16});
  check_shape(file, "convnet.c5.bias", {120});
  check_shape(file, "fc.f6.bias", {84});
  check_shape(file, "fc.f7.bias", {file.at("fc.f7.weight").size(0)});
}

void check_norm(const io::TensorFile& file, const std::string& name, std::int64_t width) {
  for (const char* part : {"weight", "bias", "running_mean", "running_var"}) {
    check_shape(file, fmt::format("{}.{}", name, part), {width});
  }
}

void check_resnet(const io::TensorFile& file, int blocks) {
  check_shape(file, "conv1.weight", {16, 3, 3, 3});
  check_norm(file, "bn1", 16);
  std::int64_t width = 16;
  for (int stage = 1; stage <= 3; ++stage) {
    const std::int64_t out = std::int64_t{8} << stage;
    for (int i = 0; i < blocks; ++i) {
      const std::string block = fmt::format("layer{}.{}.", stage, i);
      check_shape(file, block + "conv1.weight", {out, width, 3, 3});
      check_shape(file, block + "conv2.weight", {out, out, 3, 3});
      check_norm(file, block + "bn1", out);
      check_norm(file, block + "bn2", out);
      width = out;
    }
  }
  check_shape(file, "linear.weight", {0, 64});
  check_shape(file, "linear.bias", {file.at("linear.weight").size(0)});
}

class LeNet final : public Classifier {
 public:
  explicit LeNet(io::TensorFile weights) : w_(std::move(weights)) { check_lenet(w_); }
  std::string name() const override { return "LeNet"; }

 protected:
  at::IntArrayRef sides() const override { return cifar_sides; }
  std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const override {
    const at::Tensor grey = pictures.size(1) == 1 ? pictures : pictures.mean(1, true);
    const at::Tensor c1 = at::relu(convolve(grey, "convnet.c1"));
    const at::Tensor c3 = at::relu(convolve(at::max_pool2d(c1, 2), "convnet.c3"));
    const at::Tensor c5 = at::relu(convolve(at::max_pool2d(c3, 2), "convnet.c5")).flatten(1);
    return {c1, c3, c5, at::relu(linear(c5, "fc.f6"))};
  }
  Reading reading_of(const at::Tensor& last) const override {
    return {.features = last.to(at::kDouble), .logits = linear(last, "fc.f7")};
  }

 private:
  at::Tensor convolve(const at::Tensor& x, const std::string& name) const {
    return at::conv2d(x, w_.at(name + ".weight"), w_.at(name + ".bias"));
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    return at::linear(x, w_.at(name + ".weight"), w_.at(name + ".bias"));
  }
  io::TensorFile w_;
};

// He et al. (2016) for CIFAR: three stages of 16, 32, 64 channels, shortcuts without weights.
class CifarResNet final : public Classifier {
 public:
  explicit CifarResNet(io::TensorFile weights) : w_(std::move(weights)) {
    while (w_.contains(fmt::format("layer1.{}.conv1.weight", blocks_))) ++blocks_;
    check_resnet(w_, blocks_);
  }
  std::string name() const override { return fmt::format("ResNet-{}", 6 * blocks_ + 2); }

 protected:
  at::IntArrayRef sides() const override { return cifar_sides; }
  std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const override {
    const at::Tensor rgb = pictures.expand({-1, 3, -1, -1});
    const auto per_channel = [&](std::initializer_list<double> v) {
      return at::tensor(at::ArrayRef<double>(v), at::kFloat)
          .reshape({1, 3, 1, 1})
          .to(pictures.device());
    };
    // ImageNet's means and standard deviations, as these networks were trained.
    at::Tensor x = (rgb - per_channel({0.485, 0.456, 0.406})) / per_channel({0.229, 0.224, 0.225});
    x = at::relu(normalise(at::conv2d(x, w_.at("conv1.weight"), {}, 1, 1), "bn1"));
    std::vector<at::Tensor> ends;
    for (int stage = 1; stage <= 3; ++stage) {
      for (int i = 0; i < blocks_; ++i) {
        x = block(x, fmt::format("layer{}.{}.", stage, i), stage > 1 && i == 0);
      }
      ends.push_back(x);
    }
    return ends;
  }
  Reading reading_of(const at::Tensor& last) const override {
    const at::Tensor features = last.mean(at::IntArrayRef{2, 3});
    return {.features = features.to(at::kDouble),
            .logits = at::linear(features, w_.at("linear.weight"), w_.at("linear.bias"))};
  }

 private:
  at::Tensor normalise(const at::Tensor& x, const std::string& name) const {
    return at::batch_norm(x, w_.at(name + ".weight"), w_.at(name + ".bias"),
                          w_.at(name + ".running_mean"), w_.at(name + ".running_var"), false, 0,
                          1e-5, false);
  }

  at::Tensor block(const at::Tensor& x, const std::string& name, bool halve) const {
    const std::int64_t stride = halve ? 2 : 1;
    at::Tensor y = at::conv2d(x, w_.at(name + "conv1.weight"), {}, stride, 1);
    y = at::relu(normalise(y, name + "bn1"));
    y = normalise(at::conv2d(y, w_.at(name + "conv2.weight"), {}, 1, 1), name + "bn2");
    if (!halve) return at::relu(y + x);
    const std::int64_t added = y.size(1) / 4;  // zero channels on either side
    const at::Tensor small = x.slice(2, 0, std::nullopt, 2).slice(3, 0, std::nullopt, 2);
    return at::relu(y + at::constant_pad_nd(small, {0, 0, 0, 0, added, added}));
  }

  io::TensorFile w_;
  int blocks_ = 0;
};

// Trained by Calor.
class TrainedClassifier final : public Classifier {
 public:
  TrainedClassifier(net::LoadedClassifier loaded, std::string file)
      : network_(std::move(loaded.network)),
        sides_{network_->pictures().height, network_->pictures().width} {
    const auto source = loaded.notes.find("calor.source");
    name_ = "classifier of " + (source == loaded.notes.end() ? std::move(file) : source->second);
  }
  std::string name() const override { return name_; }
  std::vector<std::string> class_names() const override { return network_->pictures().class_names; }

 protected:
  at::IntArrayRef sides() const override { return sides_; }
  std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const override {
    const bool grey = network_->pictures().channels == 1 && pictures.size(1) > 1;
    const at::Tensor fitting = grey ? pictures.mean(1, true)
                                    : pictures.expand({-1, network_->pictures().channels, -1, -1});
    return network_->layers(fitting * 2 - 1, net::Precision::fp32);
  }
  Reading reading_of(const at::Tensor& last) const override {
    const at::Tensor features = net::PictureClassifier::features(last);
    return {.features = features.to(at::kDouble), .logits = network_->logits(features)};
  }

 private:
  std::unique_ptr<net::PictureClassifier> network_;
  std::array<std::int64_t, 2> sides_;
  std::string name_;
};

}  // namespace

Reading Classifier::read(const at::Tensor& pictures,
                         const std::function<void()>& before_piece) const {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> features;
  std::vector<at::Tensor> logits;
  for (const at::Tensor& part : pictures.split(pictures_at_once())) {
    if (before_piece) before_piece();
    const Reading reading = reading_of(layers(part.to(at::kFloat) / 255).back());
    features.push_back(reading.features);
    logits.push_back(reading.logits);
  }
  return {.features = at::cat(features), .logits = at::cat(logits)};
}

std::vector<at::Tensor> Classifier::layers(const at::Tensor& pictures) const {
  return layers_of(at::upsample_bilinear2d(pictures, sides(), false));
}

std::unique_ptr<Classifier> load_classifier(const std::filesystem::path& file, at::Device device) {
  io::TensorFile weights = io::read_safetensors(file);
  io::check_finite(weights, file);
  if (net::describes_classifier(weights.metadata)) {
    return std::make_unique<TrainedClassifier>(net::load_classifier(weights, file.string(), device),
                                               file.string());
  }
  for (auto& [name, tensor] : weights.tensors) tensor = tensor.to(device, at::kFloat);
  if (is_inception(weights)) return make_inception(weights);
  if (weights.contains("convnet.c1.weight")) return std::make_unique<LeNet>(std::move(weights));
  if (weights.contains("layer1.0.conv1.weight") && weights.contains("linear.weight")) {
    return std::make_unique<CifarResNet>(std::move(weights));
  }
  throw Error(
      "a classifier trained by Calor, or the weights of LeNet, a CIFAR ResNet or Inception-v3",
      fmt::format("{}: none of their tensor names", file.string()),
      "give mnist_lenet.safetensors, cifar10_resnet56.safetensors, or a run of "
      "calor train classifier-pictures");
}

}  // namespace calor::metric
