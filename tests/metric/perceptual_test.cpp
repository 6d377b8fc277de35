#include "calor/metric/perceptual.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/data/open.h"

namespace calor::metric {
namespace {

// Two layers that say the picture's own channels, so that the distance is known.
constexpr std::int64_t channels_sides[] = {32, 32};

class Channels final : public Classifier {
 public:
  std::string name() const override { return "channels"; }

 protected:
  at::IntArrayRef sides() const override { return channels_sides; }
  std::vector<at::Tensor> layers_of(const at::Tensor& pictures) const override {
    return {pictures, 2 * pictures};
  }
  Reading reading_of(const at::Tensor& last) const override {
    return {.features = last.flatten(1).to(at::kDouble), .logits = last.flatten(1)};
  }
};

// A picture of one colour, channels from -1 (dark) to 1.
at::Tensor colour(float r, float g, float b) {
  return at::tensor({r, g, b}).view({1, 3, 1, 1}).expand({2, 3, 32, 32}).contiguous();
}

// Squared distance of directions: 2 - 2 cos of the angle between the channels in [0, 1].
TEST(Perceptual, IsTheAngleBetweenChannels) {
  const Channels channels;
  const at::Tensor red = colour(1, -1, -1), green = colour(-1, 1, -1), yellow = colour(1, 1, -1);
  const auto distance = [&](const at::Tensor& a, const at::Tensor& b) {
    return perceptual_distance(channels, a, b).item<double>();
  };
  EXPECT_NEAR(distance(red, red), 0, 1e-12);
  EXPECT_NEAR(distance(red, green), 2, 1e-5);
  EXPECT_NEAR(distance(red, yellow), 2 - std::sqrt(2.0), 1e-5);
  EXPECT_NEAR(distance(red, 0.5 * (red + 1) - 1), 0, 1e-5);  // darker: the same direction
}

at::Tensor random_pictures(std::uint64_t seed) {
  return at::rand({3, 1, 28, 28}, at::detail::createCPUGenerator(seed)) * 2 - 1;
}

// LeNet's, against finite differences along a direction.
TEST(Perceptual, GradientOfLeNetsLayers) {
  std::filesystem::path weights;
  for (const auto& folder : data::data_folders()) {
    const auto file = folder / "weights/mnist_lenet.safetensors";
    if (std::filesystem::exists(file)) weights = file;
  }
  if (weights.empty()) GTEST_SKIP() << "no weights/mnist_lenet.safetensors in a data folder";
  const auto classifier = load_classifier(weights);
  const at::Tensor wanted = random_pictures(1);
  const at::Tensor made = random_pictures(2).requires_grad_();
  EXPECT_EQ(perceptual_distance(*classifier, wanted, wanted).item<double>(), 0);
  const at::Tensor loss = perceptual_distance(*classifier, made, wanted);
  EXPECT_GT(loss.item<double>(), 0.01);
  loss.backward();
  const c10::NoGradGuard no_grad;
  const at::Tensor direction = made.grad().sign();
  const double slope = (made.grad() * direction).sum().item<double>();
  constexpr double step =
      1e-4;  // fp32: rounding about 3e-8 / step = 3e-4; larger steps cross kinks
  const double after =
      perceptual_distance(*classifier, made + step * direction, wanted).item<double>();
  const double before =
      perceptual_distance(*classifier, made - step * direction, wanted).item<double>();
  EXPECT_NEAR((after - before) / (2 * step), slope, 0.02 * std::abs(slope));
}

}  // namespace
}  // namespace calor::metric
