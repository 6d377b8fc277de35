#include "calor/data/subset.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

namespace calor::data {
namespace {

// Item i is a picture of brightness i.
std::shared_ptr<ImageDataset> numbered(std::int64_t count, std::int64_t classes) {
  const at::Tensor pictures =
      at::arange(count, at::kByte).view({count, 1, 1, 1}).expand({count, 1, 2, 2}).contiguous();
  std::vector<std::string> names(static_cast<std::size_t>(classes), "class");
  for (std::size_t i = 0; i < names.size(); ++i) names[i] += std::to_string(i);
  return make_tensor_dataset({.channels = 1, .height = 2, .width = 2, .class_names = names},
                             pictures, at::arange(count, at::kLong) % classes);
}

std::set<std::int64_t> items_of(const Dataset& set) {
  std::set<std::int64_t> found;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    Batch batch;
    batch.indices = {i};
    set.fill(batch, 0, 0, false);
    EXPECT_EQ(batch.indices.front(), i);
    const auto number = batch.items[0][0][0][0].item<std::int64_t>();
    EXPECT_EQ(batch.labels.item<std::int64_t>(), set.label(i));
    EXPECT_EQ(set.label(i), number % set.spec().classes());
    found.insert(number);
  }
  return found;
}

// Both parts together are the whole set; a share of each class is held out, the same by the same
// seed.
TEST(Subset, HoldsOutAShareOfEachClass) {
  const auto set = numbered(90, 3);
  const HeldOut parts = hold_out(set, 0.2, 1);
  const auto rest = items_of(*parts.rest);
  const auto held = items_of(*parts.held_out);
  EXPECT_EQ(rest.size(), 72U);
  EXPECT_EQ(held.size(), 18U);
  for (const std::int64_t i : held) EXPECT_FALSE(rest.contains(i));
  std::vector<int> by_class(3);
  for (const std::int64_t i : held) ++by_class[static_cast<std::size_t>(i % 3)];
  EXPECT_EQ(by_class, std::vector<int>({6, 6, 6}));
  EXPECT_EQ(items_of(*hold_out(set, 0.2, 1).held_out), held);
  EXPECT_NE(items_of(*hold_out(set, 0.2, 2).held_out), held);
  EXPECT_NE(hold_out(set, 0.2, 2).rest->fingerprint(), parts.rest->fingerprint());
}

TEST(Subset, NoShareIsTheWholeSet) {
  const auto set = numbered(10, 2);
  const HeldOut parts = hold_out(set, 0.01, 0);
  EXPECT_EQ(parts.rest, set);
  EXPECT_EQ(parts.held_out, nullptr);
  // One of a class stays, however large the share.
  EXPECT_EQ(hold_out(set, 0.99, 0).rest->size(), 2);
}

}  // namespace
}  // namespace calor::data
