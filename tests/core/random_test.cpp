#include "calor/core/random.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace calor {
namespace {

// The known answers that Random123 publishes for philox4x32-10.
TEST(Philox, KnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, LongerSpansBeginWithShorterOnes) {
  const RandomKey key = random_key(3, RandomUse::test);
  std::array<float, 7> few{};
  std::array<float, 100> many{};
  fill_normal(key, std::span<float>(few));
  fill_normal(key, std::span<float>(many));
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

// 10^6 normals: the mean's standard deviation is 1e-3, the variance's 1.4e-3, the fourth moment's
// sqrt(96)e-3 = 9.8e-3; five of them are allowed, and the seed is fixed.
TEST(Random, NormalsHaveTheRightMoments) {
  std::vector<float> values(1'000'000);
  fill_normal(random_key(1, RandomUse::test), std::span<float>(values));
  const at::Tensor x = at::from_blob(values.data(), {1'000'000}, at::kFloat).to(at::kDouble);
  EXPECT_NEAR(x.mean().item<double>(), 0, 5e-3);
  EXPECT_NEAR(x.square().mean().item<double>(), 1, 7e-3);
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3, 4.9e-2);
}

TEST(Random, ItemsDoNotDependOnTheirBatch) {
  const RandomKey key = random_key(2, RandomUse::test);
  const std::array keys{key.child(0), key.child(1), key.child(2)};
  const at::Tensor all = normal_by_item(keys, {3, 5, 5}, at::kCPU);
  const at::Tensor one = normal_by_item(std::span(keys).subspan(1, 1), {3, 5, 5}, at::kCPU);
  EXPECT_TRUE(at::equal(all[1], one[0]));
}

TEST(Random, PermutationIsOne) {
  auto order = random_permutation(random_key(5, RandomUse::test), 1000);
  EXPECT_NE(order[0] * 1000 + order[1], 1);  // not the identity
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(Random, UsesAndSeedsAreDifferentStreams) {
  EXPECT_NE(random_key(0, RandomUse::flip).value, random_key(0, RandomUse::data_order).value);
  EXPECT_NE(random_key(0, RandomUse::flip).value, random_key(1, RandomUse::flip).value);
  EXPECT_NE(random_key(0, RandomUse::flip).child(0).value,
            random_key(0, RandomUse::flip).child(1).value);
}

}  // namespace
}  // namespace calor
