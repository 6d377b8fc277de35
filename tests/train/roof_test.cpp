#include "calor/train/roof.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace calor::train {
namespace {

const Product& find(const std::vector<Product>& products, const std::string& kind,
                    const std::vector<std::int64_t>& left) {
  const auto found = std::ranges::find_if(
      products, [&](const Product& p) { return p.kind == kind && p.left == left; });
  if (found == products.end()) throw std::runtime_error("no " + kind);
  return *found;
}

TEST(ProductRecorder, NotesEachShapeWithItsCountAndOperations) {
  ProductRecorder recorder;
  const at::Tensor a = at::randn({8, 16});
  const at::Tensor b = at::randn({16, 4});
  for (int i = 0; i < 3; ++i) at::mm(a, b);
  at::linear(at::randn({5, 16}), at::randn({7, 16}), at::randn({7}));
  at::bmm(at::randn({2, 3, 4}), at::randn({2, 4, 5}));
  const auto noted = recorder.noted();
  const auto products = recorder.time_alone(1);
  ASSERT_EQ(products.size(), 3U);
  ASSERT_EQ(noted.size(), 3U);
  for (const Product& product : noted) {
    EXPECT_EQ(find(products, product.kind, product.left).flops, product.flops);
    EXPECT_EQ(product.seconds, 0);
  }
  const Product& thrice = find(products, "product", {8, 16});
  EXPECT_EQ(thrice.count, 3);
  EXPECT_EQ(thrice.right, (std::vector<std::int64_t>{16, 4}));
  EXPECT_EQ(thrice.flops, 3 * 2.0 * 8 * 16 * 4);
  EXPECT_GT(thrice.seconds, 0);
  EXPECT_EQ(find(products, "product", {5, 16}).flops, 2.0 * 5 * 16 * 7);
  EXPECT_EQ(find(products, "products in a batch", {2, 3, 4}).flops, 2 * 2.0 * 3 * 4 * 5);
}

TEST(ProductRecorder, NotesConvolutionsBothWays) {
  ProductRecorder recorder;
  const at::Tensor x = at::randn({2, 3, 8, 8}).requires_grad_();
  const at::Tensor w = at::randn({5, 3, 3, 3}).requires_grad_();
  at::conv2d(x, w, {}, 1, 1).sum().backward();
  const auto products = recorder.time_alone(1);
  const double one_way = 2.0 * (5 * 3 * 3 * 3) * (2 * 8 * 8);
  EXPECT_EQ(find(products, "convolution", {2, 3, 8, 8}).flops, one_way);
  EXPECT_EQ(find(products, "convolution, backward", {2, 3, 8, 8}).flops, 2 * one_way);
}

// The factors of a product may be one row that is repeated: such a tensor cannot be written to.
TEST(ProductRecorder, RepeatsFactorsThatAreRepeatedRows) {
  ProductRecorder recorder;
  at::mm(at::randn({1, 6}).expand({4, 6}), at::randn({6, 2}));
  EXPECT_GT(recorder.time_alone(1).at(0).seconds, 0);
}

TEST(ProductRecorder, NotesNothingWhenItIsGone) {
  { const ProductRecorder recorder; }
  at::mm(at::randn({2, 2}), at::randn({2, 2}));
  ProductRecorder recorder;
  EXPECT_TRUE(recorder.time_alone(1).empty());
}

TEST(CopyBandwidth, IsANumberOfBytesASecond) { EXPECT_GT(copy_bandwidth(at::kCPU, 1 << 20), 1e6); }

}  // namespace
}  // namespace calor::train
