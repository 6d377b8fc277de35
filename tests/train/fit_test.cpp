#include "calor/train/fit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/folder.h"

namespace calor::train {
namespace {

// Learns one number; the loss of an item is a function of the item and of its key.
class OneNumber final : public Fit {
 public:
  OneNumber(const TrainOptions& options, net::Parameters& parameters, FitData data,
            TrainObserver& observer)
      : Fit(options, parameters, at::kCPU, std::move(data), observer),
        number_(parameters.handles().front().second) {
    begin({});
  }

  std::vector<std::int64_t> pieces;   // of held-out items, as they were asked for
  std::vector<std::int64_t> trained;  // of items to learn from, likewise
  std::int64_t memory = 1000;         // items for which it suffices

 protected:
  at::Tensor batch_loss(const data::Batch& batch, std::int64_t start,
                        std::span<const RandomKey> keys, bool training) override {
    const auto count = static_cast<std::int64_t>(keys.size());
    (training ? trained : pieces).push_back(count);
    TORCH_CHECK(count <= memory, "DefaultCPUAllocator: can't allocate memory");
    const at::Tensor items = batch.items.narrow(0, start, count).to(at::kFloat).flatten(1);
    const at::Tensor noise = normal_by_item(keys, {items.size(1)}, at::kCPU);
    return (items * noise - number_).square().mean();
  }
  bool parts_are_independent() const override { return false; }

 private:
  at::Tensor number_;
};

struct HeldOutLoss final : TrainObserver {
  double value = 0;
  void on_validation(const Fit&, double loss, bool) override { value = loss; }
};

struct Validation {
  std::vector<std::int64_t> pieces;
  double loss = 0;
};

constexpr std::int64_t count = 10;

Validation validation_of(const TrainOptions& wanted, const std::shared_ptr<data::Dataset>& set) {
  const test::Folder folder;
  TrainOptions options = wanted;
  options.steps = 1;
  options.batch = 4;
  options.lr = 0;  // the same weights whatever the pieces of the batch
  net::Parameters parameters;
  parameters.add("number", {1}, net::init_ones);
  HeldOutLoss observer;
  OneNumber fit(
      options, parameters,
      {.set = set, .validation = set, .flip = false, .folder = folder.path(), .source = "test"},
      observer);
  fit.run();
  return {.pieces = fit.pieces, .loss = observer.value};
}

std::shared_ptr<data::Dataset> pictures() {
  return data::make_tensor_dataset({.channels = 1, .height = 3, .width = 2, .class_names = {}},
                                   at::arange(6 * count, at::kByte).view({count, 1, 3, 2}),
                                   at::Tensor());
}

// Rows that observe so many pictures each.
std::shared_ptr<data::Dataset> rows(std::int64_t observed) {
  data::ItemSpec spec{.channels = 2, .height = 1, .width = 1, .class_names = {}};
  spec.kind = data::ItemKind::rows;
  const at::Tensor items = at::arange(2 * count, at::kFloat).view({count, 2});
  if (observed == 0) return data::make_float_dataset(spec, items);
  spec.condition_width = 1;
  spec.observed = {.count = observed, .channels = 3, .height = 2, .width = 2};
  return data::make_float_dataset(
      spec, items, {}, at::zeros({count, 1}),
      {.frames = at::zeros({count, 2, 2, 3}, at::kByte),
       .rows = at::arange(count, at::kLong).unsqueeze(1).expand({count, observed}).contiguous(),
       .checksum = "none"});
}

using Pieces = std::vector<std::int64_t>;

// Of pictures no more are held at a time than training holds; the loss is that of all of them.
TEST(Fit, ValidatesPicturesInPieces) {
  TrainOptions options;
  const Validation by_batch = validation_of(options, pictures());
  EXPECT_EQ(by_batch.pieces, (Pieces{4, 4, 2}));
  options.micro_batch = 3;
  const Validation by_micro_batch = validation_of(options, pictures());
  EXPECT_EQ(by_micro_batch.pieces, (Pieces{3, 3, 3, 1}));
  EXPECT_NEAR(by_micro_batch.loss / by_batch.loss, 1, 1e-6);
  options.coupling = {.coupling = path::Coupling::optimal_transport, .block = 5};
  EXPECT_EQ(validation_of(options, pictures()).pieces, (Pieces{5, 5}));  // whole blocks
}

TEST(Fit, ValidatesRowsTogetherUnlessTheySeePictures) {
  TrainOptions options;
  EXPECT_EQ(validation_of(options, rows(0)).pieces, (Pieces{10}));
  EXPECT_EQ(validation_of(options, rows(2)).pieces, (Pieces{4, 4, 2}));
}

// Two steps of eight pictures; the number that was learnt.
struct Learnt {
  double number = 0;
  Pieces trained;
  std::vector<std::string> warnings;
};
Learnt learn(TrainOptions options, std::int64_t memory) {
  struct Warnings final : TrainObserver {
    std::vector<std::string> all;
    void on_warning(const std::string& text) override { all.push_back(text); }
  };
  const test::Folder folder;
  options.steps = 2;
  options.batch = 8;
  options.warmup = 1;
  net::Parameters parameters;
  parameters.add("number", {1}, net::init_ones);
  Warnings observer;
  OneNumber fit(
      options, parameters,
      {.set = pictures(), .validation = {}, .flip = false, .folder = folder.path(), .source = ""},
      observer);
  fit.memory = memory;
  fit.run();
  return {.number = parameters.flat()[0].item<double>(),
          .trained = fit.trained,
          .warnings = observer.all};
}

// The same gradient in smaller pieces, which later steps keep.
TEST(Fit, HalvesTheMicroBatchWhereMemoryIsRefused) {
  const Learnt all = learn({}, 1000);
  EXPECT_EQ(all.trained, (Pieces{8, 8}));
  const Learnt little = learn({}, 3);
  EXPECT_EQ(little.trained, (Pieces{8, 4, 2, 2, 2, 2, 2, 2, 2, 2}));
  EXPECT_NE(all.number, 1);
  EXPECT_NEAR(little.number, all.number, 1e-6);
  ASSERT_EQ(little.warnings.size(), 2U);
  EXPECT_NE(little.warnings[1].find("4 items at a time: 2"), std::string::npos);
  EXPECT_ANY_THROW(learn({}, 0));
  TrainOptions blocks;
  blocks.coupling = {.coupling = path::Coupling::optimal_transport, .block = 4};
  EXPECT_EQ(learn(blocks, 5).trained, (Pieces{8, 4, 4, 4, 4}));
  EXPECT_ANY_THROW(learn(blocks, 3));  // other pairs, and so another loss
}

}  // namespace
}  // namespace calor::train
