#include "calor/data/loader.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/data/support.h"

namespace calor::data {
namespace {

using testing::error_of;
using testing::has;
using testing::noise;

std::shared_ptr<ImageDataset> some_set(std::int64_t n) {
  std::vector<std::int64_t> labels;
  ItemSpec spec{.channels = 3, .height = 4, .width = 5, .class_names = {}};
  for (std::int64_t i = 0; i < n; ++i) {
    labels.push_back(i);
    spec.class_names.push_back(std::to_string(i));
  }
  return make_tensor_dataset(spec, noise({n, 3, 4, 5}), at::tensor(labels, at::kLong));
}

// Items take different times, so that threads finish out of order; one item may be broken.
class UnevenSet final : public ImageDataset {
 public:
  explicit UnevenSet(std::int64_t n, std::int64_t broken = -1)
      : set_(some_set(n)), broken_(broken) {}

  const ItemSpec& spec() const override { return set_->spec(); }
  std::int64_t size() const override { return set_->size(); }
  at::Tensor picture(std::int64_t i) const override {
    if (i == broken_) throw std::runtime_error("broken item");
    std::this_thread::sleep_for(std::chrono::microseconds(i * 37 % 5 * 200));
    return set_->picture(i);
  }
  std::int64_t label(std::int64_t i) const override { return set_->label(i); }
  std::string fingerprint() const override { return set_->fingerprint(); }

 private:
  std::shared_ptr<ImageDataset> set_;
  std::int64_t broken_;
};

void expect_same(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.indices, b.indices);
  EXPECT_TRUE(at::equal(a.labels, b.labels));
  EXPECT_TRUE(at::equal(a.items, b.items));
}

TEST(Loader, BatchOfIsAStretchInOrder) {
  const auto set = some_set(7);
  const Batch batch = batch_of(*set, 2, 4);
  EXPECT_EQ(batch.indices, (std::vector<std::int64_t>{2, 3, 4, 5}));
  EXPECT_TRUE(at::equal(batch.labels, at::arange(2, 6, at::kLong)));
  for (std::int64_t k = 0; k < 4; ++k) {
    EXPECT_TRUE(at::equal(batch.items[k], set->picture(2 + k)));
  }
}

TEST(Loader, OrderDoesNotDependOnThreadsOrDepth) {
  const auto set = std::make_shared<UnevenSet>(13);
  LoaderOptions options{.batch = 4, .seed = 7, .flip = true};
  for (const int threads : {1, 2, 5}) {
    for (const int ahead : {1, 3, 8}) {
      options.threads = threads;
      options.ahead = ahead;
      Loader loader(set, options);
      for (std::int64_t step = 0; step < 15; ++step) {
        expect_same(loader.next(), make_batch(*set, options, step));
      }
    }
  }
}

TEST(Loader, StartsAtAnyStep) {
  const auto set = some_set(11);
  LoaderOptions options{.batch = 3, .seed = 1, .flip = true, .threads = 2};
  for (const std::int64_t first : {1, 3, 4, 100, 1'000'000'007}) {
    options.first_step = first;
    Loader loader(set, options);
    for (std::int64_t step = first; step < first + 5; ++step) {
      expect_same(loader.next(), make_batch(*set, options, step));
    }
  }
}

TEST(Loader, EveryEpochIsAnotherPermutation) {
  const std::int64_t n = 12;
  const auto set = some_set(n);
  const LoaderOptions options{.batch = 5};
  std::vector<std::int64_t> order;
  for (std::int64_t step = 0; step < n; ++step) {
    const Batch batch = make_batch(*set, options, step);
    order.insert(order.end(), batch.indices.begin(), batch.indices.end());
    for (std::size_t k = 0; k < batch.indices.size(); ++k) {
      const std::int64_t i = batch.indices[k];
      const auto place = static_cast<std::int64_t>(k);
      EXPECT_EQ(batch.labels[place].item<std::int64_t>(), i);
      EXPECT_TRUE(at::equal(batch.items[place], set->picture(i)));
    }
  }
  std::set<std::vector<std::int64_t>> epochs;
  for (auto start = order.begin(); start != order.end(); start += n) {
    std::vector<std::int64_t> epoch(start, start + n);
    EXPECT_TRUE(epochs.insert(epoch).second);
    std::ranges::sort(epoch);
    for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(epoch[static_cast<std::size_t>(i)], i);
  }
}

TEST(Loader, OrderFollowsTheDocumentedKey) {
  const auto order = random_permutation(random_key(3, RandomUse::data_order).child(2), 10);
  const Batch batch = make_batch(*some_set(10), {.batch = 10, .seed = 3}, 2);
  EXPECT_EQ(batch.indices, order);
}

TEST(Loader, PositionsDoNotDependOnTheBatchSize) {
  const auto set = some_set(7);
  const Batch whole = make_batch(*set, {.batch = 24, .seed = 5, .flip = true}, 0);
  std::vector<at::Tensor> parts;
  for (std::int64_t step = 0; step < 8; ++step) {
    parts.push_back(make_batch(*set, {.batch = 3, .seed = 5, .flip = true}, step).items);
  }
  EXPECT_TRUE(at::equal(whole.items, at::cat(parts)));
}

TEST(Loader, FlipsHalfOfThePictures) {
  const auto set = some_set(400);
  const Batch plain = make_batch(*set, {.batch = 400}, 0);
  const Batch flipped = make_batch(*set, {.batch = 400, .flip = true}, 0);
  EXPECT_EQ(plain.indices, flipped.indices);
  int mirrored = 0;
  for (std::int64_t k = 0; k < 400; ++k) {
    if (at::equal(plain.items[k], flipped.items[k])) continue;
    EXPECT_TRUE(at::equal(plain.items[k].flip({2}), flipped.items[k]));
    ++mirrored;
  }
  EXPECT_NEAR(mirrored, 200, 50);  // five standard deviations
}

TEST(Loader, AnErrorComesAtItsStepAndStays) {
  const std::int64_t broken = make_batch(*some_set(20), {.batch = 4}, 2).indices[1];
  const auto set = std::make_shared<UnevenSet>(20, broken);
  for (const int threads : {1, 4}) {
    Loader loader(set, {.batch = 4, .threads = threads, .ahead = 6});
    EXPECT_EQ(loader.next().step, 0);
    EXPECT_EQ(loader.next().step, 1);
    EXPECT_THROW(loader.next(), std::runtime_error);
    EXPECT_THROW(loader.next(), std::runtime_error);
  }
}

TEST(Loader, EndsAtAnyMoment) {
  const auto set = std::make_shared<UnevenSet>(30, 4);
  for (int round = 0; round < 60; ++round) {
    Loader loader(set, {.batch = 2, .seed = static_cast<std::uint64_t>(round), .threads = 3});
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    try {
      for (int i = 0; i < round % 4; ++i) loader.next();
    } catch (const std::runtime_error&) {
    }
  }
}

TEST(Loader, KeepsTheSetAlive) {
  Loader loader(some_set(5), {.batch = 2});
  EXPECT_EQ(loader.next().items.size(0), 2);
}

TEST(Loader, RefusesSenselessOptions) {
  const auto set = some_set(2);
  const auto error = [&](const LoaderOptions& options) {
    return error_of([&] { const Loader loader(set, options); });
  };
  EXPECT_TRUE(has(error({.batch = 0}), "batch size"));
  EXPECT_TRUE(has(error({.first_step = -1}), "first step"));
  EXPECT_TRUE(has(error({.threads = 0}), "loader threads"));
  EXPECT_TRUE(has(error({.ahead = 0}), "ahead"));
}

TEST(Loader, NamesASetThatBreaksItsPromise) {
  class Liar final : public ImageDataset {
   public:
    const ItemSpec& spec() const override { return spec_; }
    std::int64_t size() const override { return 1; }
    at::Tensor picture(std::int64_t) const override { return at::zeros({1, 2, 3}, at::kByte); }
    std::int64_t label(std::int64_t) const override { return 0; }
    std::string fingerprint() const override { return {}; }

   private:
    ItemSpec spec_{.channels = 1, .height = 2, .width = 2, .class_names = {}};
  };
  EXPECT_TRUE(has(error_of([] { make_batch(Liar(), {.batch = 1}, 0); }), "[1, 2, 3]"));
}

}  // namespace
}  // namespace calor::data
