#include "calor/data/dataset.h"

#include <limits>

#include "tests/data/support.h"

namespace calor::data {
namespace {

using testing::error_of;
using testing::has;
using testing::noise;

ItemSpec grey(std::vector<std::string> class_names = {}) {
  return {.channels = 1, .height = 2, .width = 3, .class_names = std::move(class_names)};
}

TEST(Bytes, EveryByteComesBack) {
  const at::Tensor all = at::arange(256).to(at::kByte);
  const at::Tensor unit = to_unit_range(all);
  EXPECT_EQ(unit.min().item<float>(), -1.0F);
  EXPECT_EQ(unit.max().item<float>(), 1.0F);
  EXPECT_TRUE(at::equal(to_bytes(unit), all));
}

TEST(Bytes, RoundsAndClampsAndLeavesItsArgument) {
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor x = at::tensor({-7.0F, 0.9999F, 3.0F, infinity, -infinity, 0.0F});
  const at::Tensor before = x.clone();
  const at::Tensor expected = at::tensor({0, 255, 255, 255, 0, 128}).to(at::kByte);
  EXPECT_TRUE(at::equal(to_bytes(x), expected));
  EXPECT_TRUE(at::equal(x, before));
  EXPECT_EQ(to_bytes(at::full({1}, std::numeric_limits<float>::quiet_NaN())).item<int>(), 0);
}

TEST(TensorDataset, GivesWhatItHolds) {
  const at::Tensor pictures = noise({1, 4, 1, 2, 3}).view({4, 1, 2, 3});
  const auto set =
      make_tensor_dataset(grey({"a", "b"}), pictures, at::tensor({0, 1, 1, 0}, at::kLong));
  EXPECT_EQ(set->size(), 4);
  EXPECT_EQ(set->label(2), 1);
  EXPECT_TRUE(at::equal(set->picture(3), pictures[3]));
}

TEST(TensorDataset, HasNoLabelsWithoutClassNames) {
  const auto set =
      make_tensor_dataset(grey(), noise({4, 1, 2, 3}), at::tensor({0, 1, 9, 0}, at::kLong));
  EXPECT_EQ(set->label(2), 0);
}

TEST(TensorDataset, FingerprintTellsPixelsLabelsAndNames) {
  const at::Tensor pictures = noise({2, 1, 2, 3});
  const at::Tensor labels = at::tensor({0, 1}, at::kLong);
  const auto print = [](const ItemSpec& spec, const at::Tensor& p, const at::Tensor& l) {
    return make_tensor_dataset(spec, p, l)->fingerprint();
  };
  const std::string base = print(grey({"a", "b"}), pictures, labels);
  EXPECT_EQ(base, print(grey({"a", "b"}), pictures.clone(), labels.clone()));
  at::Tensor other = pictures.clone();
  other.view(-1)[5].bitwise_xor_(1);
  EXPECT_NE(base, print(grey({"a", "b"}), other, labels));
  EXPECT_NE(base, print(grey({"a", "b"}), pictures, at::tensor({1, 0}, at::kLong)));
  EXPECT_NE(base, print(grey({"a", "c"}), pictures, labels));
  EXPECT_NE(base, print(grey(), pictures, labels));
}

TEST(TensorDataset, RefusesWhatDoesNotFit) {
  const at::Tensor two = noise({2, 1, 2, 3});
  const auto make = [](const ItemSpec& spec, const at::Tensor& p, const at::Tensor& l = {}) {
    return error_of([&] { make_tensor_dataset(spec, p, l); });
  };
  EXPECT_TRUE(has(make(grey(), two.to(at::kFloat)), "Float [2, 1, 2, 3]"));
  EXPECT_TRUE(has(make(grey(), noise({2, 1, 3, 2})), "[2, 1, 3, 2]"));
  EXPECT_TRUE(has(make(grey(), at::empty({0, 1, 2, 3}, at::kByte)), "at least one picture"));
  EXPECT_TRUE(has(make(grey(), at::Tensor()), "no tensor"));
  EXPECT_TRUE(has(make(grey({"a"}), two, at::tensor({0}, at::kLong)), "Long [1]"));
  EXPECT_TRUE(has(make(grey({"a"}), two, at::tensor({0, 1}, at::kLong)), "labels from 0 to 1"));
  EXPECT_TRUE(has(make(grey({"a"}), two), "one label per picture"));
}

}  // namespace
}  // namespace calor::data
