#include "calor/train/checkpoint_writer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "calor/core/error.h"
#include "tests/support/folder.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;

Checkpoint some_checkpoint(std::int64_t step, const at::Tensor& weights) {
  Checkpoint c;
  c.progress.step = step;
  c.data_fingerprint = "data";
  c.weights = weights;
  c.optimiser = OptimiserState::start(weights);
  return c;
}

// What is written is what was there when it began, whatever training does meanwhile.
TEST(CheckpointWriter, WritesASnapshot) {
  const test::Folder folder;
  CheckpointWriter writer(folder.path(), 2);
  at::Tensor weights = at::arange(1 << 20, at::kFloat);
  const at::Tensor before = weights.clone();
  for (std::int64_t step = 1; step <= 3; ++step) {
    const Checkpoint checkpoint = some_checkpoint(step, weights);
    writer.begin(checkpoint);
    weights.add_(1);
    at::Tensor average = checkpoint.optimiser.ema;
    average.zero_();
  }
  writer.finish();
  std::string warnings;
  const auto found = load_newest_checkpoint(folder.path(), warnings);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(warnings, "");
  EXPECT_EQ(found->progress.step, 3);
  EXPECT_TRUE(at::equal(found->weights, before + 2));
  EXPECT_TRUE(at::equal(found->optimiser.ema, before + 2));
}

// An error is not lost: the next call tells it.
TEST(CheckpointWriter, TellsWhatWentWrong) {
  const test::Folder folder;
  const fs::path file = folder.path() / "file";
  std::ofstream(file) << "no folder";
  CheckpointWriter writer(file, 2);
  writer.begin(some_checkpoint(1, at::zeros({4})));
  EXPECT_THROW(writer.finish(), Error);
  writer.finish();  // once
}

}  // namespace
}  // namespace calor::train
