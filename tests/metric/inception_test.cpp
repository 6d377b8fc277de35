#include "calor/metric/inception.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "calor/core/error.h"
#include "tests/support/folder.h"

namespace calor::metric {
namespace {

struct Unit {
  std::string name;
  std::int64_t in, out, height, width;
};

// All units, as the paper's figures and PyTorch's names have them.
std::vector<Unit> units() {
  std::vector<Unit> all{{"Conv2d_1a_3x3", 3, 32, 3, 3},
                        {"Conv2d_2a_3x3", 32, 32, 3, 3},
                        {"Conv2d_2b_3x3", 32, 64, 3, 3},
                        {"Conv2d_3b_1x1", 64, 80, 1, 1},
                        {"Conv2d_4a_3x3", 80, 192, 3, 3}};
  const auto add = [&](const std::string& block, std::vector<Unit> own) {
    for (Unit& unit : own) {
      unit.name = block + "." + unit.name;
      all.push_back(unit);
    }
  };
  for (const auto& [block, in, pooled] :
       std::vector<std::tuple<std::string, std::int64_t, std::int64_t>>{
           {"Mixed_5b", 192, 32}, {"Mixed_5c", 256, 64}, {"Mixed_5d", 288, 64}}) {
    add(block, {{"branch1x1", in, 64, 1, 1},
                {"branch5x5_1", in, 48, 1, 1},
                {"branch5x5_2", 48, 64, 5, 5},
                {"branch3x3dbl_1", in, 64, 1, 1},
                {"branch3x3dbl_2", 64, 96, 3, 3},
                {"branch3x3dbl_3", 96, 96, 3, 3},
                {"branch_pool", in, pooled, 1, 1}});
  }
  add("Mixed_6a", {{"branch3x3", 288, 384, 3, 3},
                   {"branch3x3dbl_1", 288, 64, 1, 1},
                   {"branch3x3dbl_2", 64, 96, 3, 3},
                   {"branch3x3dbl_3", 96, 96, 3, 3}});
  for (const auto& [block, c] : std::vector<std::pair<std::string, std::int64_t>>{
           {"Mixed_6b", 128}, {"Mixed_6c", 160}, {"Mixed_6d", 160}, {"Mixed_6e", 192}}) {
    add(block, {{"branch1x1", 768, 192, 1, 1},
                {"branch7x7_1", 768, c, 1, 1},
                {"branch7x7_2", c, c, 1, 7},
                {"branch7x7_3", c, 192, 7, 1},
                {"branch7x7dbl_1", 768, c, 1, 1},
                {"branch7x7dbl_2", c, c, 7, 1},
                {"branch7x7dbl_3", c, c, 1, 7},
                {"branch7x7dbl_4", c, c, 7, 1},
                {"branch7x7dbl_5", c, 192, 1, 7},
                {"branch_pool", 768, 192, 1, 1}});
  }
  add("Mixed_7a", {{"branch3x3_1", 768, 192, 1, 1},
                   {"branch3x3_2", 192, 320, 3, 3},
                   {"branch7x7x3_1", 768, 192, 1, 1},
                   {"branch7x7x3_2", 192, 192, 1, 7},
                   {"branch7x7x3_3", 192, 192, 7, 1},
                   {"branch7x7x3_4", 192, 192, 3, 3}});
  for (const auto& [block, in] :
       std::vector<std::pair<std::string, std::int64_t>>{{"Mixed_7b", 1280}, {"Mixed_7c", 2048}}) {
    add(block, {{"branch1x1", in, 320, 1, 1},
                {"branch3x3_1", in, 384, 1, 1},
                {"branch3x3_2a", 384, 384, 1, 3},
                {"branch3x3_2b", 384, 384, 3, 1},
                {"branch3x3dbl_1", in, 448, 1, 1},
                {"branch3x3dbl_2", 448, 384, 3, 3},
                {"branch3x3dbl_3a", 384, 384, 1, 3},
                {"branch3x3dbl_3b", 384, 384, 3, 1},
                {"branch_pool", in, 192, 1, 1}});
  }
  return all;
}

// Weights with which each unit hands on the mean m of what it sees, where that is positive: the
// convolution makes 2 m of it, the norm (2 m - 1) / sqrt(4 - .001 + .001) + 1/2 = m.
io::TensorFile averaging() {
  io::TensorFile file;
  for (const Unit& u : units()) {
    const double weight = 1.0 / static_cast<double>(u.in * u.height * u.width);
    file.tensors.emplace_back(u.name + ".conv.weight",
                              at::full({u.out, u.in, u.height, u.width}, 2 * weight, at::kFloat));
    file.tensors.emplace_back(u.name + ".bn.weight", at::full({u.out}, 1.0));
    file.tensors.emplace_back(u.name + ".bn.bias", at::full({u.out}, 0.5));
    file.tensors.emplace_back(u.name + ".bn.running_mean", at::full({u.out}, 1.0));
    file.tensors.emplace_back(u.name + ".bn.running_var", at::full({u.out}, 4 - 1e-3));
  }
  file.tensors.emplace_back("fc.weight", at::full({1008, 2048}, 1.0 / 2048));
  file.tensors.emplace_back("fc.bias", at::arange(1008, at::kFloat));
  return file;
}

// As many weights as the network has without its last layer.
TEST(Inception, HasTheKnownSize) {
  std::int64_t count = 0;
  for (const Unit& u : units()) count += u.out * (u.in * u.height * u.width + 2);
  EXPECT_EQ(count, 21'785'568);
}

// A grey picture of brightness v then has features of 2 v - 1, less what the zeros around a padded
// convolution take away. How much that is was computed by an independent implementation in float64
// (PyTorch's own network with the averages and the last pooling changed as the header says):
// 0.60383 of the whole, where averages that count the padding would give 0.563, and an average in
// the last block 0.589.
TEST(Inception, HandsOnMeans) {
  const auto network = make_inception(averaging());
  EXPECT_EQ(network->name(), inception_name);
  const at::Tensor pictures = at::tensor({255, 204, 51}, at::kByte).view({3, 1, 1, 1});
  const Reading reading = network->read(pictures.expand({3, 1, 8, 8}));
  ASSERT_EQ(reading.features.sizes(), at::IntArrayRef({3, 2048}));
  const at::Tensor mean = reading.features.mean(1);
  EXPECT_NEAR(mean[0].item<double>(), 0.6038259065, 1e-5);
  EXPECT_NEAR(mean[1].item<double>(), 0.6 * 0.6038259065, 1e-5);
  EXPECT_EQ(mean[2].item<double>(), 0);  // -.6 by the first unit
  EXPECT_TRUE(at::allclose(reading.logits[0].to(at::kDouble),
                           at::arange(1008, at::kDouble) + mean[0], 1e-5, 1e-5));
}

// The first layer that is missing or of another shape is named.
TEST(Inception, RefusesOtherWeights) {
  const test::Folder folder;
  const auto path = folder.path() / "inception.safetensors";
  const auto refuses = [&](const io::TensorFile& file, const std::string& name) {
    io::write_safetensors(path, file);
    try {
      load_classifier(path);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  const io::TensorFile whole = averaging();
  io::TensorFile file = whole;
  std::erase_if(file.tensors,
                [](const auto& t) { return t.first.starts_with("Mixed_6c.branch7x7_2."); });
  refuses(file, "Mixed_6c.branch7x7_2");
  file = whole;
  for (auto& [name, tensor] : file.tensors) {
    if (name == "Mixed_7a.branch7x7x3_2.conv.weight") tensor = at::zeros({192, 192, 7, 1});
    if (name == "fc.weight") tensor = at::zeros({1008, 2048});
  }
  refuses(file, "Mixed_7a.branch7x7x3_2");
  file = whole;
  for (auto& [name, tensor] : file.tensors) {
    if (name == "fc.weight") tensor = at::zeros({1000, 2048});
  }
  refuses(file, "1008");
}

}  // namespace
}  // namespace calor::metric
