#include "calor/train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "calor/core/error.h"
#include "calor/data/dequantise.h"
#include "calor/flow/model_file.h"
#include "calor/io/atomic_file.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/solve/blurred_start.h"
#include "calor/solve/generate.h"
#include "tests/support/folder.h"
#include "tests/support/threads.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;

using test::Folder;

std::shared_ptr<data::ImageDataset> some_pictures(std::int64_t seed = 1) {
  const at::Tensor labels = at::arange(40, at::kLong) % 2;
  const at::Tensor pictures = at::randint(
      0, 256, {40, 1, 8, 8}, at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed)),
      at::TensorOptions(at::kByte));
  return data::make_tensor_dataset(
      {.channels = 1, .height = 8, .width = 8, .class_names = {"a", "b"}}, pictures, labels);
}

data::TrainingData data_of(std::shared_ptr<const data::Dataset> set) {
  return {.train = std::move(set), .validation = nullptr, .notes = {}, .description = {}};
}

RunConfig tiny(std::int64_t steps) {
  RunConfig config;
  config.data.flip = true;
  config.model.path.kind = path::PathKind::heat;
  config.model.net = {.width = 16,
                      .depth = 2,
                      .heads = 2,
                      .patch = 4,
                      .bottleneck = 8,
                      .context_tokens = 2,
                      .context_start = 1,
                      .dropout = 0.1,
                      .refine = 4};
  config.model.time.mixture = 0.3;
  config.model.objective.balance = 0.5;
  config.model.objective.layer_sync = 0.1;
  config.model.objective.layer_sync_to = 1;
  config.train.steps = steps;
  config.train.batch = 8;
  config.train.warmup = 2;
  config.train.decay = 0;
  config.train.checkpoint_every = 3;
  config.train.precision = net::Precision::fp32;
  config.train.products = net::Products::standard;
  return config;
}

struct Losses final : TrainObserver {
  std::vector<double> values;
  std::vector<std::string> warnings;
  void on_step(const Fit&, const StepReport& report) override { values.push_back(report.loss); }
  void on_warning(const std::string& text) override { warnings.push_back(text); }
};

std::string bytes_of(const fs::path& file) { return io::read_text(file); }

void train(const RunConfig& config, const fs::path& folder, Losses& losses) {
  Trainer(config, data_of(some_pictures()), folder, at::kCPU, losses).run();
}

// A run in three pieces (one stop falls between checkpoints) ends with the same bytes as one that
// never stopped. The schedule's length must be the same in all pieces, so the stops are made by
// copying what a run had saved at that moment.
TEST(Trainer, ResumesBitForBit) {
  Folder whole;
  Losses losses;
  train(tiny(9), whole.path(), losses);
  Folder resumed;
  Losses first;
  RunConfig cut = tiny(9);
  cut.train.keep_checkpoints = 9;
  train(cut, resumed.path(), first);
  fs::remove_all(resumed.path() / "checkpoints" / "0000000009");
  fs::remove_all(resumed.path() / "checkpoints" / "0000000006");
  fs::remove(resumed.path() / "model.safetensors");
  Losses rest;
  train(cut, resumed.path(), rest);
  EXPECT_EQ(rest.values.size(), 6U);
  EXPECT_EQ(bytes_of(whole.path() / "checkpoints/0000000009/weights.safetensors"),
            bytes_of(resumed.path() / "checkpoints/0000000009/weights.safetensors"));
  EXPECT_EQ(bytes_of(whole.path() / "checkpoints/0000000009/optimiser.safetensors"),
            bytes_of(resumed.path() / "checkpoints/0000000009/optimiser.safetensors"));
  EXPECT_EQ(bytes_of(whole.path() / "checkpoints/0000000009/averages.safetensors"),
            bytes_of(resumed.path() / "checkpoints/0000000009/averages.safetensors"));
}

// A GPU's training runs recorded passes; here a processor does the recorded work again. The same
// weights, in one batch and in micro-batches; where dropout or taps are asked for nothing is
// recorded.
TEST(Trainer, RecordedPassesTrainTheSame) {
  const net::kernels::gpu::TasksOnProcessor tasks;
  for (const std::int64_t micro_batch : {0, 4}) {
    RunConfig config = tiny(4);
    config.model.net.dropout = 0;
    config.model.objective.layer_sync = 0;
    config.train.parts = 1;
    config.train.micro_batch = micro_batch;
    const auto trained = [&](const RunConfig& own, std::size_t recordings) {
      const Folder folder;
      Losses losses;
      const auto data = data_of(some_pictures());
      flow::Flow flow(own.model, data.train->spec(), at::kCPU);
      StageTrainer trainer(own, flow,
                           {.stage = 0,
                            .set = data.train,
                            .validation = nullptr,
                            .folder = folder.path(),
                            .warm_start = {},
                            .publish = {}},
                           losses);
      trainer.run();
      EXPECT_EQ(flow.stage(0).replay().recordings(), recordings);
      return flow.stage(0).network().parameters().flat().clone();
    };
    const at::Tensor recorded = trained(config, 1);
    {
      const net::WithoutRecordings off;
      EXPECT_TRUE(at::allclose(recorded, trained(config, 0), 1e-5, 1e-6));
    }
    RunConfig dropping = config;
    dropping.model.net.dropout = 0.1;
    trained(dropping, 0);
    RunConfig tapping = config;
    tapping.model.objective.layer_sync = 0.1;
    trained(tapping, 0);
  }
}

// The noise of dequantised pictures belongs to the position in the run, too; and the model file
// says what the pictures were.
TEST(Trainer, DequantisedRunsResumeBitForBit) {
  const auto run = [](const RunConfig& config, const fs::path& folder) {
    Losses losses;
    Trainer(config, data_of(data::with_dequantised(some_pictures())), folder, at::kCPU, losses)
        .run();
    return losses.values;
  };
  RunConfig config = tiny(6);
  config.train.keep_checkpoints = 9;
  Folder folder;
  const auto whole = run(config, folder.path());
  const std::string weights = "checkpoints/0000000006/weights.safetensors";
  const std::string before = bytes_of(folder.path() / weights);
  fs::remove_all(folder.path() / "checkpoints" / "0000000006");
  const auto rest = run(config, folder.path());
  ASSERT_EQ(rest.size(), 3U);
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), whole.begin() + 3));
  EXPECT_EQ(bytes_of(folder.path() / weights), before);
  EXPECT_TRUE(flow::read_description(folder.path() / "model.safetensors").items.dequantised);
  Folder plain;
  Losses other;
  train(config, plain.path(), other);
  EXPECT_NE(other.values, whole);
}

TEST(Trainer, LearnsOnePicture) {
  RunConfig config = tiny(150);
  config.train.lr = 1e-2;
  config.train.checkpoint_every = 150;
  config.model.objective.layer_sync = 0;
  config.model.net.dropout = 0;
  config.data.flip = false;
  const at::Tensor picture = some_pictures()->picture(0);
  const auto set = data::make_tensor_dataset(
      {.channels = 1, .height = 8, .width = 8, .class_names = {}},
      picture.unsqueeze(0).repeat({8, 1, 1, 1}), at::zeros({8}, at::kLong));
  Folder folder;
  Losses losses;
  Trainer trainer(config, data_of(set), folder.path(), at::kCPU, losses);
  trainer.run();
  EXPECT_LT(losses.values.back(), 0.2 * losses.values.front());
  // The model file alone samples that picture.
  const auto model = flow::load_model(folder.path() / "model.safetensors", at::kCPU);
  const auto made =
      solve::generate(*model.flow, model.flow->initial_noise(solve::sampling_keys(0, 0, 4)),
                      {.labels = at::zeros({4}, at::kLong), .condition = {}},
                      solve::options_from_notes(model.notes, "m"));
  const at::Tensor error = (made.items - data::to_unit_range(picture)).square().mean().sqrt();
  EXPECT_LT(error.item<double>(), 0.35);  // pixels are uniform in [-1, 1]: a guess would be .58 off
}

// Inverse heat dissipation under the same trainer: it learns to sharpen, level by level, what
// begins as a blurred picture of the set.
TEST(Trainer, LearnsToSharpenLevelByLevel) {
  RunConfig config = tiny(250);
  config.data.flip = false;
  config.model.net.dropout = 0;
  config.model.objective = {.prediction = objective::Quantity::less_blurred,
                            .loss = objective::Quantity::less_blurred};
  config.model.path.kind = path::PathKind::ihdm;
  config.model.path.levels = 6;
  config.model.path.sigma_max = 3;
  config.model.path.level_noise = 0.1;
  config.model.time = {.law = path::TimeLaw::uniform};
  config.sampling.solver.solver = solve::Solver::ihdm;
  config.sampling.solver.steps = 6;
  config.sampling.solver.delta = 0.1;
  config.train.lr = 1e-2;
  config.train.checkpoint_every = 250;
  const at::Tensor picture = some_pictures()->picture(0);
  const auto set = data::make_tensor_dataset(
      {.channels = 1, .height = 8, .width = 8, .class_names = {}},
      picture.unsqueeze(0).repeat({8, 1, 1, 1}), at::zeros({8}, at::kLong));
  Folder folder;
  Losses losses;
  Trainer(config, data_of(set), folder.path(), at::kCPU, losses).run();
  EXPECT_LT(losses.values.back(), 0.2 * losses.values.front());
  const auto model = flow::load_model(folder.path() / "model.safetensors", at::kCPU);
  const at::Tensor labels = at::zeros({4}, at::kLong);
  const solve::Start start =
      solve::blurred_start(*model.flow, *set, solve::sampling_keys(0, 0, 4), labels);
  const auto made = solve::generate(*model.flow, start, {.labels = labels, .condition = {}},
                                    solve::options_from_notes(model.notes, "m"));
  EXPECT_EQ(made.nfe, 6);
  const at::Tensor wanted = data::to_unit_range(picture);
  const auto error = [&](const at::Tensor& items) {
    return (items - wanted).square().mean().sqrt().item<double>();
  };
  EXPECT_GT(error(start.noise), 0.5);  // the start is nearly grey
  EXPECT_LT(error(made.items), 0.3);
}

// Half-size micro-batches give the whole batch's gradient; rounding differs.
TEST(Trainer, MicroBatchesGiveTheSameLosses) {
  RunConfig config = tiny(4);
  config.model.net.dropout = 0;  // masks are drawn per pass
  config.model.objective.layer_sync = 0;
  Folder a;
  Folder b;
  Losses whole;
  Losses micro;
  train(config, a.path(), whole);
  config.train.micro_batch = 3;
  train(config, b.path(), micro);
  for (std::size_t i = 0; i < whole.values.size(); ++i) {
    EXPECT_NEAR(micro.values[i] / whole.values[i], 1, 1e-4);
  }
}

// Parts side by side give the whole batch's loss, and the same bytes on any number of threads.
TEST(Trainer, PartsSideBySideDoNotDependOnThreads) {
  RunConfig config = tiny(4);
  config.model.net.dropout = 0;
  config.model.objective.layer_sync = 0;
  Folder whole_folder;
  Losses whole;
  train(config, whole_folder.path(), whole);
  config.train.parts = 3;
  config.train.micro_batch = 2;
  Losses parts;
  const auto weights = test::on_threads({1, 2, 4}, [&] {
    Folder folder;
    parts.values.clear();
    train(config, folder.path(), parts);
    return bytes_of(folder.path() / "checkpoints/0000000004/weights.safetensors");
  });
  EXPECT_TRUE(weights[0] == weights[1]);  // bytes, not to be printed
  EXPECT_TRUE(weights[0] == weights[2]);
  ASSERT_EQ(parts.values.size(), whole.values.size());
  for (std::size_t i = 0; i < whole.values.size(); ++i) {
    EXPECT_NEAR(parts.values[i] / whole.values[i], 1, 1e-4);
  }
}

// Dropout draws from one generator, and optimal transport pairs the whole batch: parts are not
// computed side by side.
TEST(Trainer, SomeBatchesStayInOnePart) {
  const auto weights_of = [&](RunConfig config, std::int64_t parts) {
    config.train.parts = parts;
    Folder folder;
    Losses losses;
    train(config, folder.path(), losses);
    return bytes_of(folder.path() / "checkpoints/0000000004/weights.safetensors");
  };
  const RunConfig dropout = tiny(4);
  EXPECT_TRUE(weights_of(dropout, 1) == weights_of(dropout, 3));  // bytes, not to be printed
  RunConfig paired = tiny(4);
  paired.model.net.dropout = 0;
  const auto unpaired = weights_of(paired, 1);
  paired.train.coupling.coupling = path::Coupling::optimal_transport;
  EXPECT_TRUE(weights_of(paired, 1) == weights_of(paired, 3));
  EXPECT_FALSE(weights_of(paired, 1) == unpaired);
}

TEST(Trainer, ANonFiniteStepChangesNothing) {
  RunConfig config = tiny(6);
  config.train.lr = 10;
  config.train.warmup = 0;
  config.train.clip = 0;
  config.train.max_bad_steps = 2;
  config.model.path.noise_scale = 1e3;
  Folder folder;
  struct Poison final : TrainObserver {
    std::int64_t bad = 0;
    at::Tensor before;
    void on_step(const Fit& trainer, const StepReport& report) override {
      const at::Tensor flat = trainer.parameters().flat();
      if (report.bad) {
        ++bad;
        EXPECT_TRUE(at::allclose(flat, before, 0, 0, true));
      }
      if (report.step == 2) {
        at::Tensor weights = flat.narrow(0, 0, 1);
        weights.fill_(std::numeric_limits<float>::quiet_NaN());
      }
      before = flat.clone();
    }
  } poison;
  Trainer trainer(config, data_of(some_pictures()), folder.path(), at::kCPU, poison);
  EXPECT_THROW(trainer.run(), Error);
  EXPECT_EQ(poison.bad, 2);
}

TEST(Trainer, RefusesAnotherDataSet) {
  Folder folder;
  Losses losses;
  train(tiny(3), folder.path(), losses);
  EXPECT_THROW(Trainer(tiny(6), data_of(some_pictures(2)), folder.path(), at::kCPU, losses).run(),
               Error);
}

// A run with checkpoints at steps 3 and 6, the latter with a flipped byte.
void train_and_damage_the_newest(const fs::path& folder) {
  Losses losses;
  train(tiny(6), folder, losses);
  const fs::path file = folder / "checkpoints/0000000006/optimiser.safetensors";
  std::string bytes = bytes_of(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
}

// The step of the newest checkpoint, none damaged.
std::int64_t newest_step(const fs::path& folder) {
  std::string warnings;
  const auto newest = load_newest_checkpoint(folder, warnings);
  EXPECT_EQ(warnings, "");
  return newest ? newest->progress.step : -1;
}

TEST(Checkpoint, AFlippedByteIsFoundAndTheOlderOneTaken) {
  Folder folder;
  train_and_damage_the_newest(folder.path());
  Losses again;
  train(tiny(9), folder.path(), again);
  EXPECT_EQ(again.values.size(), 6U);  // from step 3
  ASSERT_EQ(again.warnings.size(), 1U);
  EXPECT_NE(again.warnings[0].find("0000000006"), std::string::npos);
}

// Whoever comes next finds the newest whole: what was passed over is written anew.
TEST(Checkpoint, ADamagedOneIsReplaced) {
  Folder folder;
  train_and_damage_the_newest(folder.path());
  Losses again;
  train(tiny(9), folder.path(), again);
  EXPECT_EQ(newest_step(folder.path()), 9);
  fs::remove_all(folder.path() / "checkpoints/0000000009");
  EXPECT_EQ(newest_step(folder.path()), 6);
  EXPECT_FALSE(fs::exists(folder.path() / "checkpoints/0000000006.damaged"));
}

// A stop before the damaged one's step: what is new stays, though only one is kept, and what was
// set aside stays beside it, as it may be whole after all.
TEST(Checkpoint, ADamagedOneIsNotCounted) {
  Folder folder;
  train_and_damage_the_newest(folder.path());
  const fs::path aside = folder.path() / "checkpoints/0000000006.damaged";
  RunConfig config = tiny(4);
  config.train.keep_checkpoints = 1;
  Losses one;
  train(config, folder.path(), one);
  EXPECT_EQ(one.values.size(), 1U);
  EXPECT_EQ(newest_step(folder.path()), 4);
  EXPECT_TRUE(fs::exists(aside));
  config.train.steps = 6;
  train(config, folder.path(), one);
  EXPECT_EQ(newest_step(folder.path()), 6);
  EXPECT_FALSE(fs::exists(aside));
}

// A user who may not read one file; of root, who may read all, another.
class WithoutRights {
 public:
  explicit WithoutRights(const fs::path& file) {
    fs::permissions(file, fs::perms::none);
    if (was_root_) holds_ = seteuid(65534) == 0;
  }
  ~WithoutRights() {
    if (was_root_) holds_ = seteuid(0) == 0;
  }
  WithoutRights(const WithoutRights&) = delete;
  WithoutRights& operator=(const WithoutRights&) = delete;
  bool hold() const { return holds_; }

 private:
  bool was_root_ = geteuid() == 0;
  bool holds_ = true;
};

// What cannot be read just now may be whole: it is not passed over for an older one.
TEST(Checkpoint, WhatCannotBeReadIsNotTakenForDamaged) {
  Folder folder;
  Losses losses;
  train(tiny(6), folder.path(), losses);
  fs::permissions(folder.path(), fs::perms(0755));
  const fs::path weights = folder.path() / "checkpoints/0000000006/weights.safetensors";
  std::string warnings;
  {
    const WithoutRights rights(weights);
    ASSERT_TRUE(rights.hold());
    EXPECT_THROW(load_newest_checkpoint(folder.path(), warnings), Error);
  }
  EXPECT_EQ(warnings, "");
  fs::permissions(weights, fs::perms(0644));
  EXPECT_EQ(newest_step(folder.path()), 6);
}

// Another process than the one that trains reads, and changes nothing.
TEST(Checkpoint, ReadingSetsNothingAside) {
  Folder folder;
  train_and_damage_the_newest(folder.path());
  std::string warnings;
  EXPECT_EQ(load_newest_checkpoint(folder.path(), warnings)->progress.step, 3);
  EXPECT_TRUE(steps_left(folder.path(), 6));
  EXPECT_TRUE(fs::exists(folder.path() / "checkpoints/0000000006"));
}

TEST(Checkpoint, LeftoversOfInterruptedWritesAreNoCheckpoints) {
  Folder folder;
  Losses losses;
  train(tiny(3), folder.path(), losses);
  fs::create_directories(folder.path() / "checkpoints/0000000099.tmp");
  std::ofstream(folder.path() / "checkpoints/0000000099.tmp/weights.safetensors") << "half";
  Losses rest;
  train(tiny(6), folder.path(), rest);
  EXPECT_EQ(rest.values.size(), 3U);
  EXPECT_FALSE(fs::exists(folder.path() / "checkpoints/0000000099.tmp"));
}

TEST(ModelFile, CarriesEverythingAndRoundTrips) {
  Folder folder;
  Losses losses;
  train(tiny(3), folder.path(), losses);
  const fs::path file = folder.path() / "model.safetensors";
  const auto model = flow::load_model(file, at::kCPU);
  EXPECT_EQ(model.flow->items().class_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(model.flow->options().net.width, 16);
  EXPECT_EQ(model.notes.at("calor.step"), "3");
  flow::save_model(folder.path() / "again.safetensors", *model.flow, model.notes);
  EXPECT_EQ(bytes_of(file), bytes_of(folder.path() / "again.safetensors"));
}

TEST(Generate, SameSeedSamePictureWhateverTheBatch) {
  Folder folder;
  Losses losses;
  train(tiny(3), folder.path(), losses);
  const auto model = flow::load_model(folder.path() / "model.safetensors", at::kCPU);
  const at::Tensor noise = model.flow->initial_noise(solve::sampling_keys(5, 0, 7));
  const flow::Given given{.labels = at::arange(7, at::kLong) % 2, .condition = {}};
  auto options = solve::options_from_notes(model.notes, "m");
  options.guidance.scale = 2;
  const at::Tensor whole = solve::generate(*model.flow, noise, given, options).items;
  EXPECT_TRUE(at::equal(whole, solve::generate(*model.flow, noise, given, options).items));
  options.batch = 3;
  const at::Tensor pieces = solve::generate(*model.flow, noise, given, options).items;
  EXPECT_TRUE(at::allclose(whole, pieces, 1e-4, 1e-5));
  // Item 4 alone is item 4.
  EXPECT_TRUE(at::equal(noise[4], model.flow->initial_noise(solve::sampling_keys(5, 4, 1))[0]));
}

}  // namespace
}  // namespace calor::train
