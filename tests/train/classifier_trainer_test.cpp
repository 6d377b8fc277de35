#include "calor/train/classifier_trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "calor/core/error.h"
#include "calor/flow/model_file.h"
#include "calor/io/atomic_file.h"
#include "calor/metric/classifier.h"
#include "calor/net/classifier_file.h"
#include "tests/support/folder.h"

namespace calor::train {
namespace {

using test::Folder;

// Two classes that a few convolutions tell apart: bright in the left half, or in the right one,
// under noise.
std::shared_ptr<data::ImageDataset> halves(std::int64_t count) {
  const at::Tensor labels = at::arange(count, at::kLong) % 2;
  at::Tensor pictures = at::randint(0, 120, {count, 1, 8, 8}, at::detail::createCPUGenerator(3),
                                    at::TensorOptions(at::kByte));
  for (std::int64_t i = 0; i < count; ++i) {
    pictures[i][0].narrow(1, 4 * (i % 2), 4).add_(100);
  }
  return data::make_tensor_dataset(
      {.channels = 1, .height = 8, .width = 8, .class_names = {"left", "right"}}, pictures, labels);
}

ClassifierConfig tiny(std::int64_t steps) {
  ClassifierConfig config;
  config.network = {.widths = {4, 8}, .blocks = 1, .groups = 2};
  config.shift = 1;
  config.train.steps = steps;
  config.train.batch = 16;
  config.train.parts = 2;
  config.train.lr = 1e-2;
  config.train.warmup = 2;
  config.train.ema = 0.9;
  config.train.ema2 = 0.9;
  config.train.validate_every = 10;
  config.train.checkpoint_every = 5;
  config.train.precision = net::Precision::fp32;
  config.train.products = net::Products::standard;
  return config;
}

// Dies in the middle of a run.
struct DieAt final : TrainObserver {
  explicit DieAt(std::int64_t step) : last(step) {}
  std::int64_t last;
  void on_step(const Fit&, const StepReport& report) override {
    if (report.step == last) throw std::runtime_error("killed");
  }
};

// What was learnt is in the file that calor evaluate reads, and reads held-out pictures right.
TEST(ClassifierTrainer, LearnsAndIsRead) {
  const Folder folder;
  const auto data = data::hold_out(halves(200), 0.2, 0);
  ASSERT_EQ(data.rest->size(), 160);
  ASSERT_EQ(data.held_out->size(), 40);
  TrainObserver silent;
  const auto trainer = ClassifierTrainer::make(tiny(60), data, folder.path(), at::kCPU, silent);
  EXPECT_EQ(trainer->run(), Outcome::finished);
  EXPECT_EQ(trainer->accuracy(), 1);
  const auto classifier = metric::load_classifier(flow::model_file_of(folder.path()));
  data::Batch batch;
  for (std::int64_t i = 0; i < 40; ++i) batch.indices.push_back(i);
  data.held_out->fill(batch, 0, 0, false);
  const metric::Reading reading = classifier->read(batch.items);
  EXPECT_EQ(reading.features.sizes(), at::IntArrayRef({40, 8}));
  EXPECT_TRUE(reading.logits.argmax(1).equal(batch.labels));
  // Colour pictures of another size are read, too, and grey ones repeated are the same.
  const at::Tensor colour = batch.items.expand({-1, 3, -1, -1});
  EXPECT_TRUE(at::allclose(classifier->read(colour).logits, reading.logits, 1e-4, 1e-5));
  EXPECT_EQ(classifier->read(at::zeros({2, 3, 30, 20}, at::kByte)).logits.size(1), 2);
  // It is no flow, which is said.
  try {
    flow::load_model(folder.path() / "model.safetensors", at::kCPU);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("classifier"), std::string::npos);
  }
}

// Killed between two checkpoints, the same call goes on and ends with the same bytes.
TEST(ClassifierTrainer, ResumesToTheSameBytes) {
  const Folder whole, cut;
  const auto data = data::hold_out(halves(60), 0.2, 0);
  TrainObserver silent;
  ClassifierTrainer::make(tiny(12), data, whole.path(), at::kCPU, silent)->run();
  DieAt death(8);
  EXPECT_THROW(ClassifierTrainer::make(tiny(12), data, cut.path(), at::kCPU, death)->run(),
               std::runtime_error);
  const auto again = ClassifierTrainer::make(tiny(12), data, cut.path(), at::kCPU, silent);
  EXPECT_EQ(again->progress().step, 5);
  EXPECT_EQ(again->run(), Outcome::finished);
  EXPECT_EQ(io::read_text(whole.path() / "model.safetensors"),
            io::read_text(cut.path() / "model.safetensors"));
}

// A shift keeps what stays inside, and moves each picture by its own key.
TEST(ClassifierTrainer, ShiftsByKey) {
  const at::Tensor pictures = at::rand({40, 2, 6, 5}, at::detail::createCPUGenerator(1));
  std::vector<RandomKey> keys;
  for (std::uint64_t i = 0; i < 40; ++i) keys.push_back(random_key(i, RandomUse::test));
  const at::Tensor moved = shifted(pictures, 1, keys);
  std::int64_t still = 0;
  for (std::int64_t i = 0; i < 40; ++i) {
    bool found = false;
    for (std::int64_t y = -1; y <= 1 && !found; ++y) {
      for (std::int64_t x = -1; x <= 1 && !found; ++x) {
        const at::Tensor inner = pictures[i].slice(1, 1 + y, 5 + y).slice(2, 1 + x, 4 + x);
        found = moved[i].slice(1, 1, 5).slice(2, 1, 4).equal(inner);
        still += found && x == 0 && y == 0 ? 1 : 0;
      }
    }
    EXPECT_TRUE(found) << i;
  }
  // A ninth of 40 stays; not one, or half of them, has a chance of less than a hundredth.
  EXPECT_GT(still, 0);
  EXPECT_LT(still, 20);
  EXPECT_TRUE(shifted(pictures.narrow(0, 7, 3), 1, std::span(keys).subspan(7, 3))
                  .equal(moved.narrow(0, 7, 3)));
}

TEST(ClassifierTrainer, RefusesWhatItCannotLearn) {
  const data::ItemSpec unlabelled{.channels = 1, .height = 8, .width = 8, .class_names = {}};
  EXPECT_THROW(net::PictureClassifier({}, unlabelled), Error);
  const data::ItemSpec small{.channels = 1, .height = 4, .width = 4, .class_names = {"a", "b"}};
  EXPECT_THROW(net::PictureClassifier({}, small), Error);
  EXPECT_THROW(net::PictureClassifier({.widths = {4, 6}, .blocks = 1, .groups = 4}, small), Error);
}

// As many numbers as the header says.
TEST(ClassifierTrainer, CountsItsParameters) {
  const data::ItemSpec pictures{.channels = 3, .height = 8, .width = 8, .class_names = {"a", "b"}};
  const net::PictureClassifier network({.widths = {4, 8}, .blocks = 2, .groups = 2}, pictures);
  const auto p = [](std::int64_t i, std::int64_t o, std::int64_t k) { return (k * k * i + 1) * o; };
  const std::int64_t first = 2 * (p(4, 4, 3) + p(4, 4, 3) + 2 * (4 + 4));
  const std::int64_t second =
      p(4, 8, 3) + p(8, 8, 3) + 2 * (4 + 8) + p(4, 8, 1) + p(8, 8, 3) + p(8, 8, 3) + 2 * (8 + 8);
  EXPECT_EQ(network.parameters().count(), p(3, 4, 3) + first + second + 2 * 8 + p(8, 2, 1));
}

}  // namespace
}  // namespace calor::train
