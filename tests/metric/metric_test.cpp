#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "calor/data/open.h"
#include "calor/metric/classifier.h"
#include "calor/metric/frechet.h"
#include "calor/metric/spectrum.h"

namespace calor::metric {
namespace {

// Between Gaussians with diagonal covariances the distance is sum (m - m')^2 + (s - s')^2. The
// features are made so that their sample moments are exact.
TEST(Frechet, ClosedFormForDiagonalGaussians) {
  const double u =
      std::sqrt(1.5);  // per axis the points u, 0, -u, 0: unbiased variance 2 u^2/3 = 1
  const at::Tensor base =
      at::tensor({u, 0.0, -u, 0.0, 0.0, u, 0.0, -u}, at::kDouble).reshape({4, 2});
  EXPECT_NEAR(frechet_distance(base, base), 0, 1e-12);
  const at::Tensor scale = at::tensor({2.0, 5.0}, at::kDouble);
  const at::Tensor other = base * scale + 3;
  EXPECT_NEAR(frechet_distance(base, other), 2 * 9 + 1 + 16, 1e-10);
  EXPECT_NEAR(frechet_distance(other, base), 2 * 9 + 1 + 16, 1e-10);
}

at::Tensor noise_pictures() {
  return at::randint(0, 256, {200, 1, 16, 16}, at::detail::createCPUGenerator(1),
                     at::TensorOptions(at::kByte));
}

TEST(Spectrum, FinePowerIsRelative) {
  const at::Tensor real = noise_pictures();
  EXPECT_NEAR(fine_power(real, real, 0.6), 1, 1e-12);
  // Half the contrast about the middle: a quarter of the power (bytes round a little).
  const at::Tensor faint = ((real.to(at::kDouble) - 127.5) / 2 + 127.5).round().to(at::kByte);
  EXPECT_NEAR(fine_power(faint, real, 0.6), 0.25, 0.01);
}

TEST(Spectrum, PatchGridIsSeen) {
  const at::Tensor real = noise_pictures();
  EXPECT_NEAR(patch_grid_power(real, real, 4), 1, 1e-12);
  at::Tensor gridded = real.clone();
  // One dark line a patch.
  gridded.slice(2, 0, std::nullopt, 4).fill_(0);
  EXPECT_GT(patch_grid_power(gridded, real, 4), 1.5);
}

// The classifiers are those of the reference weights: LeNet reads handwritten digits.
TEST(SlowClassifier, LeNetReadsMnist) {
  std::filesystem::path weights;
  for (const auto& folder : data::data_folders()) {
    if (std::filesystem::exists(folder / "weights/mnist_lenet.safetensors")) {
      weights = folder / "weights/mnist_lenet.safetensors";
    }
  }
  if (weights.empty()) GTEST_SKIP() << "no weights/mnist_lenet.safetensors in a data folder";
  std::shared_ptr<data::ImageDataset> set;
  try {
    data::DataOptions options;
    options.source = "mnist-test";
    set = data::open_dataset(options);
  } catch (const std::exception&) {
    GTEST_SKIP() << "MNIST is in no data folder";
  }
  std::vector<at::Tensor> pictures;
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < 500; ++i) {
    pictures.push_back(set->picture(i));
    labels.push_back(set->label(i));
  }
  const auto reading = load_classifier(weights)->read(at::stack(pictures));
  EXPECT_EQ(reading.features.size(1), 84);
  const double right =
      reading.logits.argmax(1).eq(at::tensor(labels)).to(at::kDouble).mean().item<double>();
  EXPECT_GE(right, 0.97);
}

}  // namespace
}  // namespace calor::metric
