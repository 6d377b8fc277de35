#include "calor/metric/classifier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "calor/core/error.h"
#include "calor/data/open.h"
#include "tests/metric/tiny_lenet.h"
#include "tests/support/folder.h"

namespace calor::metric {
namespace {

// Weights that are of another architecture, or not numbers, are refused when they are loaded.
TEST(Classifier, WrongWeights) {
  const test::Folder folder;
  const auto file = folder.path() / "weights.safetensors";
  const auto refuses = [&](const io::TensorFile& weights, const std::string& name) {
    io::write_safetensors(file, weights);
    try {
      load_classifier(file);
      ADD_FAILURE() << name << " is taken";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  io::TensorFile weights = random_lenet();
  io::write_safetensors(file, weights);
  EXPECT_EQ(load_classifier(file)->name(), "LeNet");
  weights.tensors[4].second = at::zeros({120, 16, 3, 3});
  refuses(weights, "convnet.c5.weight");
  weights = random_lenet();
  weights.tensors[7].second[3] = NAN;
  refuses(weights, "fc.f6.bias");
  weights = random_lenet();
  weights.tensors.pop_back();
  refuses(weights, "fc.f7.bias");
  refuses({.tensors = {{"conv1.weight", at::zeros({16, 3, 3, 3})}}, .metadata = {}}, "ResNet");
  refuses({.tensors = {{"layer1.0.conv1.weight", at::zeros({16, 16, 3, 3})},
                       {"linear.weight", at::zeros({10, 64})},
                       {"conv1.weight", at::zeros({16, 3, 7, 7})}},
           .metadata = {}},
          "conv1.weight");
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
