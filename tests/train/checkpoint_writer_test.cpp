#include "calor/train/checkpoint_writer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "tests/support/deaths.h"
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

// Whenever the process dies, the newest checkpoint is the old one or the new one, whole.
TEST(Checkpoint, IsOldOrNewAfterEveryDeath) {
  for (const std::int64_t keep : {1, 2}) {
    const test::Folder folder;
    const auto save = [&](std::int64_t step) {
      save_checkpoint(folder.path(), some_checkpoint(step, at::full({9}, step, at::kFloat)), keep);
    };
    save(1);
    std::set<std::int64_t> seen;
    const int deaths = test::die_at_every_change(
        [&] { save(2); },
        [&] {
          std::string warnings;
          const auto found = load_newest_checkpoint(folder.path(), warnings);
          ASSERT_TRUE(found.has_value());
          EXPECT_EQ(warnings, "");
          EXPECT_TRUE(found->weights.eq(found->progress.step).all().item<bool>());
          seen.insert(found->progress.step);
          fs::remove_all(folder.path() / "checkpoints");
          save(1);
        });
    EXPECT_GT(deaths, 20);  // six for each of four files, and the folder
    EXPECT_EQ(seen, (std::set<std::int64_t>{1, 2}));
  }
}

// What goes wrong between memory and the disk is not certified by the manifest.
TEST(Checkpoint, KnowsWhatWasMeant) {
  const test::Folder folder;
  const fs::path weights = folder.path() / "checkpoints/0000000001.tmp/weights.safetensors";
  bool damaged = false;
  io::set_disk_hook([&](const char*) {
    if (damaged || !fs::exists(weights)) return;
    damaged = true;
    std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end)
        << '!';
  });
  save_checkpoint(folder.path(), some_checkpoint(1, at::zeros({9})), 2);
  io::set_disk_hook({});
  EXPECT_TRUE(damaged);
  std::string warnings;
  EXPECT_THROW(load_newest_checkpoint(folder.path(), warnings), Error);
  EXPECT_NE(warnings.find("checksum"), std::string::npos) << warnings;
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
