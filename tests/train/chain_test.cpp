// Chains of stages: trained one after another on pushed particles, or independently on exact ones.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "calor/core/error.h"
#include "calor/flow/model_file.h"
#include "calor/io/atomic_file.h"
#include "calor/solve/flow_density.h"
#include "calor/solve/generate.h"
#include "calor/train/particles.h"
#include "calor/train/trainer.h"
#include "tests/support/chains.h"
#include "tests/support/folder.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;
using test::Folder;
using test::gaussian_rows;

data::TrainingData data_of(std::int64_t n, std::uint64_t seed = 1) {
  return {.train = gaussian_rows(n, seed),
          .validation = gaussian_rows(200, seed + 100),
          .notes = {},
          .description = {}};
}

RunConfig tiny_chain(std::int64_t steps) {
  RunConfig config = test::small_chain(16, steps);
  config.train.batch = 32;
  config.train.ema = 0.99;
  config.train.checkpoint_every = 4;
  config.train.validate_every = 3;
  config.sampling.solver.solver = solve::Solver::dopri5;
  return config;
}

struct Pushes final : TrainObserver {
  std::vector<std::int64_t> rows;
  void on_push(std::size_t /*stage*/, std::int64_t done, std::int64_t /*total*/) override {
    rows.push_back(done);
  }
};

void train(const RunConfig& config, const fs::path& folder, std::int64_t rows = 300) {
  Pushes observer;
  Trainer(config, data_of(rows), folder, at::kCPU, observer).run();
}

std::string bytes_of(const fs::path& file) { return io::read_text(file); }

// In bf16, too, where a stage's network must multiply as it did when it was trained in this
// process.
TEST(Chain, ResumesBitForBitInsideAStageAndBetweenStages) {
  for (const net::Precision precision : {net::Precision::fp32, net::Precision::bf16}) {
    RunConfig config = tiny_chain(9);
    config.train.precision = precision;
    Folder whole;
    train(config, whole.path());
    Folder resumed;
    fs::copy(whole.path(), resumed.path(), fs::copy_options::recursive);
    // As if killed in stage 2 after its first checkpoint...
    fs::remove(resumed.path() / "model.safetensors");
    fs::remove_all(resumed.path() / "stages/3");
    fs::remove(resumed.path() / "stages/2/weights.safetensors");
    fs::remove_all(resumed.path() / "stages/2/checkpoints/0000000009");
    fs::remove_all(resumed.path() / "particles/");
    train(config, resumed.path());
    EXPECT_EQ(bytes_of(whole.path() / "model.safetensors"),
              bytes_of(resumed.path() / "model.safetensors"));
    for (const char* store : {"particles/1.f32", "particles/2.f32", "particles/validation-2.f32"}) {
      EXPECT_TRUE(bytes_of(whole.path() / store) == bytes_of(resumed.path() / store)) << store;
    }
  }
}

TEST(Chain, StagesTrainedAloneJoinToTheSameModel) {
  RunConfig config = tiny_chain(6);
  config.model.stages.particles = flow::Particles::exact;
  Folder together;
  train(config, together.path());
  Folder apart;
  Pushes observer;
  for (const std::int64_t stage : {3, 1, 2}) {
    Trainer trainer(config, data_of(300), apart.path(), at::kCPU, observer);
    EXPECT_EQ(trainer.run_stage(stage), Outcome::finished);
  }
  EXPECT_TRUE(observer.rows.empty());
  EXPECT_EQ(bytes_of(together.path() / "model.safetensors"),
            bytes_of(apart.path() / "model.safetensors"));
  Trainer trainer(config, data_of(300), apart.path(), at::kCPU, observer);
  EXPECT_THROW(trainer.run_stage(4), Error);
  config.model.stages.particles = flow::Particles::pushed;
  Folder other;
  Trainer pushed(config, data_of(300), other.path(), at::kCPU, observer);
  EXPECT_THROW(pushed.run_stage(1), Error);
}

TEST(Particles, APushThatWasCutGoesOnToTheSameBytes) {
  const auto rows = gaussian_rows(1000);
  const flow::Flow flow = [&] {
    flow::Flow made(tiny_chain(1).model, rows->spec(), at::kCPU);
    made.stage(0).network().parameters().initialise(random_key(5, RandomUse::test));
    made.stage(0).network().parameters().flatten(at::kCPU);
    return made;
  }();
  PushOptions options;
  options.chunk = 128;
  Folder folder;
  const auto push = [&](const fs::path& file, const std::string& weights) {
    return push_particles(flow, 0, *rows, file, weights, options, [](std::int64_t) {});
  };
  const auto whole = push(folder.path() / "whole.f32", "w");
  ASSERT_EQ(whole->size(), 1000);
  // Cut in the middle of a chunk, with a torn line in the journal.
  fs::copy_file(folder.path() / "whole.f32", folder.path() / "cut.f32");
  std::string journal = bytes_of(folder.path() / "whole.f32.journal");
  std::size_t place = 0;
  for (int line = 0; line < 4; ++line) place = journal.find('\n', place) + 1;
  std::ofstream(folder.path() / "cut.f32.journal") << journal.substr(0, place + 7);
  fs::resize_file(folder.path() / "cut.f32", 3 * 128 * 8 + 11);
  push(folder.path() / "cut.f32", "w");
  EXPECT_EQ(bytes_of(folder.path() / "whole.f32"), bytes_of(folder.path() / "cut.f32"));
  // A flipped byte is found and its chunk, with those after it, made again.
  {
    std::fstream file(folder.path() / "cut.f32", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2000);
    file.put('\x55');
  }
  push(folder.path() / "cut.f32", "w");
  EXPECT_EQ(bytes_of(folder.path() / "whole.f32"), bytes_of(folder.path() / "cut.f32"));
  EXPECT_THROW(push(folder.path() / "whole.f32", "other weights"), Error);
}

// A chain learns a Gaussian: its NLL comes near the entropy, sampling inverts scoring, and exact
// and pushed particles serve alike. 2,000 held-out rows: the standard error of a mean NLL is
// sqrt(d/2)/sqrt(2000) = .022, and the network's own error adds to it.
// In fp16 a store takes half the bytes and holds the rounded numbers; it is another store than the
// one in fp32.
TEST(Particles, HalfPrecisionStores) {
  const auto rows = gaussian_rows(300);
  flow::Flow flow(tiny_chain(1).model, rows->spec(), at::kCPU);
  flow.stage(0).network().parameters().initialise(random_key(5, RandomUse::test));
  flow.stage(0).network().parameters().flatten(at::kCPU);
  Folder folder;
  PushOptions options;
  const auto push = [&](const char* name) {
    return push_particles(flow, 0, *rows, folder.path() / name, "w", options, [](std::int64_t) {});
  };
  const auto items_of = [](const data::Dataset& set) {
    data::Batch batch;
    for (std::int64_t i = 0; i < set.size(); ++i) batch.indices.push_back(i);
    set.fill(batch, 0, 0, false);
    return batch.items;
  };
  const at::Tensor whole = items_of(*push("whole"));
  options.store = ParticleStore::fp16;
  const at::Tensor half = items_of(*push("half"));
  EXPECT_EQ(fs::file_size(folder.path() / "whole"), 2 * fs::file_size(folder.path() / "half"));
  EXPECT_TRUE(at::equal(whole.to(at::kHalf).to(at::kFloat), half));
  EXPECT_THROW(push("whole"), Error);
}

// What does not vary in the data has the step's noise after a push, not none: rows that are all 0,
// a stage that knows that. 6,000 numbers: the standard error of their standard deviation is .9 %.
TEST(Particles, ConstantDataBecomeTheStepsNoise) {
  RunConfig config = tiny_chain(1);
  config.model.objective.prediction = objective::Quantity::x;
  const auto zeros = [&] {
    data::ItemSpec spec{.channels = 2, .height = 1, .width = 1, .class_names = {}};
    spec.kind = data::ItemKind::rows;
    return data::make_float_dataset(spec, at::zeros({3000, 2}));
  }();
  flow::Flow flow(config.model, zeros->spec(), at::kCPU);
  flow.stage(0).network().parameters().flatten(at::kCPU);
  at::Tensor weights = flow.stage(0).network().parameters().flat();
  weights.zero_();
  PushOptions options;
  options.t_eps = 0.05;
  options.chunk = 1000;
  options.noise = random_key(3, RandomUse::test);
  const Folder folder;
  const auto pushed =
      push_particles(flow, 0, *zeros, folder.path() / "p", "w", options, [](std::int64_t) {});
  data::Batch batch;
  for (std::int64_t i = 0; i < pushed->size(); ++i) batch.indices.push_back(i);
  pushed->fill(batch, 0, 0, false);
  const double variance = batch.items.square().mean().item<double>();
  EXPECT_NEAR(std::sqrt(variance / (1 - std::exp(-2 * 0.1))), 1, 0.04);
  options.noise = random_key(4, RandomUse::test);
  EXPECT_THROW(
      push_particles(flow, 0, *zeros, folder.path() / "p", "w", options, [](std::int64_t) {}),
      Error);
}

TEST(Particles, ChunksAreSmallerWhereItemsAreLarge) {
  EXPECT_EQ(push_chunk_rows(6), 32768);
  EXPECT_EQ(push_chunk_rows(784), (1 << 20) / 784);
  EXPECT_EQ(push_chunk_rows(3 * 256 * 256), 64);
}

data::TrainingData small_pictures(std::int64_t n) {
  data::ItemSpec spec{.channels = 1, .height = 4, .width = 6, .class_names = {"a", "b"}};
  const at::Tensor pictures =
      at::randint(256, {n, 1, 4, 6}, at::detail::createCPUGenerator(3), at::kByte);
  return {.train = data::make_tensor_dataset(spec, pictures, at::arange(n, at::kLong) % 2),
          .validation = {},
          .notes = {},
          .description = {}};
}

// Pictures, with mirroring: the store holds each picture and its mirror image, with their labels.
TEST(Chain, CarriesPicturesAndTheirMirrorImages) {
  RunConfig config = tiny_chain(3);
  config.model.stages.widths = {16, 8, 8};
  config.model.stages.depths = {2, 2, 1};
  config.data.flip = true;
  config.train.particle_store = ParticleStore::fp16;
  Folder folder;
  Pushes observer;
  Trainer trainer(config, small_pictures(10), folder.path(), at::kCPU, observer);
  EXPECT_EQ(trainer.run(), Outcome::finished);
  EXPECT_EQ(fs::file_size(folder.path() / "particles/1.f16"), 2U * 20 * 24);
  EXPECT_EQ(fs::file_size(folder.path() / "particles/2.f16"), 2U * 20 * 24);
  const auto model = flow::load_model(folder.path() / "model.safetensors", at::kCPU);
  const auto count = [&](std::size_t n) {
    return model.flow->stage(n).network().parameters().count();
  };
  EXPECT_GT(count(0), count(1));
  EXPECT_GT(count(1), count(2));
}

TEST(Mirrored, EachPictureTwice) {
  const auto pictures = small_pictures(3).train;
  const auto both = data::with_mirrored(pictures);
  ASSERT_EQ(both->size(), 6);
  data::Batch plain, batch;
  plain.indices = {0, 2};
  batch.indices = {0, 3, 5};
  pictures->fill(plain, 0, 0, false);
  both->fill(batch, 0, 0, false);
  EXPECT_TRUE(at::equal(batch.items[0], plain.items[0]));
  EXPECT_TRUE(at::equal(batch.items[1], plain.items[0].flip({-1})));
  EXPECT_TRUE(at::equal(batch.items[2], plain.items[1].flip({-1})));
  EXPECT_EQ(batch.labels[2].item<std::int64_t>(), 0);
  EXPECT_EQ(batch.indices, (std::vector<std::int64_t>{0, 3, 5}));
  EXPECT_NE(both->fingerprint(), pictures->fingerprint());
}

// Local HDFM at rho = 0 is local flow matching, bit for bit; at rho > 0 it is not.
TEST(Chain, WithoutRhoIsLocalFlowMatchingBitForBit) {
  const auto model = [](double rho, bool said) {
    RunConfig config = tiny_chain(3);
    config.model.stages.particles = flow::Particles::exact;
    if (said) config.model.stages.rho = rho;
    Folder folder;
    Pushes observer;
    Trainer(config, small_pictures(10), folder.path(), at::kCPU, observer).run();
    return flow::load_model(folder.path() / "model.safetensors", at::kCPU)
        .flow->stage(1)
        .network()
        .parameters()
        .flat()
        .clone();
  };
  EXPECT_TRUE(at::equal(model(0, true), model(0, false)));
  EXPECT_FALSE(at::equal(model(0.5, true), model(0, false)));
}

TEST(SlowChain, LearnsAGaussianOnBothKindsOfParticles) {
  const at::Tensor covariance =
      at::tensor({0.36, 0.18, 0.18, 0.25}, at::kDouble).view({2, 2});  // mix^T mix
  const double entropy = 1 + std::log(2 * M_PI) + 0.5 * std::log((0.36 * 0.25 - 0.18 * 0.18));
  EXPECT_NEAR(covariance.det().item<double>(), 0.36 * 0.25 - 0.18 * 0.18, 1e-12);
  for (const auto particles : {flow::Particles::pushed, flow::Particles::exact}) {
    RunConfig config = tiny_chain(600);
    config.model.stages.particles = particles;
    config.model.mlp.width = 48;
    config.train.batch = 256;
    config.train.lr = 1e-2;
    config.train.checkpoint_every = 600;
    config.train.validate_every = 100;
    Folder folder;
    train(config, folder.path(), 20'000);
    const auto model = flow::load_model(folder.path() / "model.safetensors", at::kCPU);
    ASSERT_EQ(model.flow->size(), 3U);

    data::Batch fresh;
    for (std::int64_t i = 0; i < 2000; ++i) fresh.indices.push_back(i);
    gaussian_rows(2000, 77)->fill(fresh, 0, 0, false);
    const at::Tensor x = fresh.items.flatten(1);
    const flow::Given given{.labels = at::zeros({2000}, at::kLong), .condition = {}};
    solve::FlowDensityOptions options;
    options.ode.rtol = 1e-6;
    options.ode.atol = 1e-6;
    const auto density = solve::flow_log_density(*model.flow, x, given, options);
    EXPECT_NEAR(-density.mean(), entropy, 0.1) << static_cast<int>(particles);
    const auto back = solve::flow_transport(*model.flow, density.end.to(at::kFloat), given,
                                            solve::Direction::to_data, options);
    EXPECT_LE((back.x - x).abs().max().item<double>(), 1e-4);

    const at::Tensor noise = model.flow->initial_noise(solve::sampling_keys(0, 0, 4000));
    const flow::Given free{.labels = at::zeros({4000}, at::kLong), .condition = {}};
    const at::Tensor made =
        solve::generate(*model.flow, noise, free, config.sampling).items.flatten(1).to(at::kDouble);
    const at::Tensor centred = made - made.mean(0, true);
    const at::Tensor found = at::mm(centred.t(), centred) / 3999;
    EXPECT_LE((found - covariance).abs().max().item<double>(), 0.05);
  }
}

// A model file of a chain carries every stage.
TEST(Chain, ModelFileRoundTrips) {
  Folder folder;
  train(tiny_chain(4), folder.path());
  const fs::path file = folder.path() / "model.safetensors";
  const auto model = flow::load_model(file, at::kCPU);
  EXPECT_EQ(model.flow->size(), 3U);
  EXPECT_EQ(model.flow->items().kind, data::ItemKind::rows);
  flow::save_model(folder.path() / "again.safetensors", *model.flow, model.notes);
  EXPECT_EQ(bytes_of(file), bytes_of(folder.path() / "again.safetensors"));
}

}  // namespace
}  // namespace calor::train
