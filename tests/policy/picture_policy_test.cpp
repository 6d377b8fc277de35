// Policies of pictures from end to end: PushT's recorded pictures are those that a rollout shows,
// and a policy trained on pictures acts on them.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "calor/core/error.h"
#include "calor/data/demonstrations.h"
#include "calor/data/open.h"
#include "calor/flow/model_file.h"
#include "calor/io/atomic_file.h"
#include "calor/io/npy.h"
#include "calor/policy/pusht.h"
#include "calor/policy/rollout.h"
#include "calor/train/trainer.h"
#include "tests/support/folder.h"
#include "tests/support/threads.h"

namespace calor::policy {
namespace {

namespace fs = std::filesystem;

fs::path archive() {
  for (const auto& folder : data::data_folders()) {
    const fs::path file = folder / "pusht" / "pusht_cchi_v7_replay.zarr.tar";
    if (fs::exists(file)) return file;
  }
  return {};
}

// [steps, side, side, 3], as pictures are saved.
at::Tensor as_saved(const at::Tensor& picture) { return picture.permute({1, 2, 0}); }

// Demonstration k was recorded from seed k, in the order of the original's reset; its pictures have
// no mark where the action was.
TEST(SlowPicturePolicy, RecordedPicturesAreThoseOfTheEnvironment) {
  const fs::path file = archive();
  if (file.empty()) GTEST_SKIP() << "no pusht archive in a data folder";
  const auto all = data::read_demonstrations(file, {.observations = "img state[0:2]"});
  ASSERT_EQ(all.pictures.sizes(), (std::vector<std::int64_t>{25'650, 96, 96, 3}));
  EXPECT_EQ(all.pictures.scalar_type(), at::kByte);
  for (const std::int64_t episode : {0, 7}) {
    PushT environment;
    environment.reset(static_cast<std::uint64_t>(episode));
    for (std::int64_t step = all.begin(episode); step < all.begin(episode) + 40; ++step) {
      if (step % 5 == 0) {
        EXPECT_TRUE(at::equal(as_saved(environment.picture({.side = 96})), all.pictures[step]))
            << episode << ", " << step;
      }
      const auto agent = environment.observe("agent");
      EXPECT_NEAR(agent[0], all.observations[step][0].item<double>(), 1e-4);
      const at::Tensor action = all.actions[step];
      environment.step(Vec2{action[0].item<double>(), action[1].item<double>()});
    }
  }
}

constexpr std::int64_t side = 16;

// A few steps of PushT with random targets, pictures included.
void record(const fs::path& file) {
  std::vector<at::Tensor> pictures, agents, actions;
  std::vector<std::int64_t> ends;
  auto generator = at::detail::createCPUGenerator(1);
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    PushT environment;
    environment.reset(seed);
    for (int step = 0; step < 10; ++step) {
      const at::Tensor action = at::rand({2}, generator, at::kDouble) * 400 + 50;
      pictures.push_back(as_saved(environment.picture({.side = side})));
      agents.push_back(at::tensor(environment.observe("agent"), at::kDouble));
      actions.push_back(action);
      environment.step(Vec2{action[0].item<double>(), action[1].item<double>()});
    }
    ends.push_back(static_cast<std::int64_t>(pictures.size()));
  }
  io::write_npz(file, {{"action", at::stack(actions).to(at::kFloat)},
                       {"img", at::stack(pictures).contiguous()},
                       {"agent", at::stack(agents).to(at::kFloat)},
                       {"episode_ends", at::tensor(ends, at::kLong)}});
}

// Two stages of a tiny network of either kind.
train::RunConfig tiny(const fs::path& demonstrations, net::NetworkKind kind,
                      const std::string& observations) {
  train::RunConfig config;
  config.data.source = demonstrations.string();
  config.data.validation = 0.34;
  config.data.demonstrations = {
      .observations = observations, .history = 2, .chunk = 8, .execute = 4};
  auto& model = config.model;
  model.kind = kind;
  model.stages.gammas = {0.5};
  model.stages.warm_start = true;
  model.objective.prediction = objective::Quantity::v;
  model.objective.loss = objective::Quantity::v;
  model.chunk = {.widths = {8, 16}, .groups = 4, .embedding = 8};
  model.chunk_transformer = {.width = 16, .depth = 1, .heads = 2};
  model.vision = {.widths = {4, 8}, .groups = 2, .points = 4, .features = 5};
  config.train.precision = net::Precision::fp32;
  config.train.products = net::Products::standard;
  config.train.steps = 4;
  config.train.batch = 8;
  config.train.parts = 2;
  config.train.warmup = 1;
  config.train.validate_every = 2;
  config.train.checkpoint_every = 2;
  config.train.push.rtol = config.train.push.atol = 0.1;
  config.sampling.solver.solver = solve::Solver::euler;
  config.sampling.solver.steps = 4;
  return config;
}

void train_run(const train::RunConfig& config, const fs::path& folder) {
  train::TrainObserver observer;
  train::Trainer trainer(config, data::open_training_data(config.data), folder, at::kCPU, observer);
  EXPECT_EQ(trainer.run(), train::Outcome::finished);
}

TEST(PicturePolicy, TrainsAndActs) {
  test::Folder data;
  const fs::path demonstrations = data.path() / "a.npz";
  record(demonstrations);
  for (const auto& [kind, observations] : {std::pair{net::NetworkKind::chunk_unet, "img agent"},
                                           std::pair{net::NetworkKind::chunk_transformer, "img"}}) {
    SCOPED_TRACE(observations);
    test::Folder run;
    const train::RunConfig config = tiny(demonstrations, kind, observations);
    train_run(config, run.path());
    const auto policy = Policy::load(run.path(), at::kCPU);
    EXPECT_EQ(policy->pictures(),
              (data::ObservedShape{.count = 2, .channels = 3, .height = side, .width = side}));
    EXPECT_EQ(policy->flow->options().vision.points, 4);
    const RolloutOptions options{.environment = "pusht", .episodes = 1, .seed = 3, .max_steps = 9};
    const auto episodes = roll_out(policy, options);
    ASSERT_EQ(episodes.size(), 1U);
    EXPECT_EQ(episodes[0].error, "");
    EXPECT_EQ(episodes[0].steps, 9);
    EXPECT_EQ(episodes[0].decisions.size(), 3U);
    EXPECT_EQ(episodes[0].decisions[0].nfe, 4);
  }
}

// What is trained and pushed is the same whether it is cut in the middle or not.
TEST(PicturePolicy, ResumesBitForBit) {
  test::Folder data;
  const fs::path demonstrations = data.path() / "a.npz";
  record(demonstrations);
  const train::RunConfig config = tiny(demonstrations, net::NetworkKind::chunk_unet, "img agent");
  const auto model = [&](const fs::path& folder) {
    train_run(config, folder);
    return io::read_text(folder / "model.safetensors");
  };
  test::Folder whole, resumed;
  const std::string expected = model(whole.path());
  fs::copy(whole.path(), resumed.path(), fs::copy_options::recursive);
  fs::remove(resumed.path() / "model.safetensors");
  fs::remove(resumed.path() / "stages/2/weights.safetensors");
  fs::remove_all(resumed.path() / "stages/2/checkpoints/0000000004");
  fs::remove_all(resumed.path() / "particles");
  EXPECT_TRUE(model(resumed.path()) == expected);
}

// Parts of a batch are each computed on one thread, encoder and all.
TEST(PicturePolicy, TrainingDoesNotDependOnTheNumberOfThreads) {
  test::Folder data;
  const fs::path demonstrations = data.path() / "a.npz";
  record(demonstrations);
  train::RunConfig config = tiny(demonstrations, net::NetworkKind::chunk_transformer, "img agent");
  config.model.stages.gammas.clear();
  config.model.path.kind = path::PathKind::linear;
  const auto models = test::on_threads({1, 2}, [&] {
    test::Folder run;
    train_run(config, run.path());
    return io::read_text(run.path() / "model.safetensors");
  });
  EXPECT_TRUE(models[0] == models[1]);
}

// An untrained policy of 2 pictures and 2 numbers.
std::shared_ptr<Policy> untrained(std::int64_t width) {
  const train::RunConfig config = tiny("", net::NetworkKind::chunk_unet, "img agent");
  const data::ItemSpec items{
      .channels = 2,
      .height = 1,
      .width = 8,
      .class_names = {},
      .kind = data::ItemKind::rows,
      .condition_width = 4,
      .observed = {.count = 2, .channels = 3, .height = side, .width = width}};
  auto policy = std::make_shared<Policy>();
  policy->flow = std::make_unique<flow::Flow>(config.model, items, at::kCPU);
  for (std::size_t n = 0; n < policy->flow->size(); ++n) {
    net::Parameters& parameters = policy->flow->stage(n).network().parameters();
    parameters.initialise(random_key(n, RandomUse::test));
    parameters.flatten(at::kCPU);
  }
  policy->codec.options = config.data.demonstrations;
  const auto range = data::RangeScaler::fit(at::tensor({0.0, 512.0}).unsqueeze(1).repeat({1, 2}));
  policy->codec.actions = policy->codec.observations = range;
  policy->sampling = config.sampling;
  return policy;
}

TEST(PicturePolicy, ObservesPicturesInItsLoop) {
  Controller controller(untrained(side));
  const std::vector<double> agent{100, 200};
  const at::Tensor dark = at::zeros({3, side, side}, at::kByte);
  const at::Tensor bright = at::full({3, side, side}, 200, at::kByte);
  const auto first = [&](std::initializer_list<at::Tensor> pictures) {
    controller.reset(1);
    for (const at::Tensor& picture : pictures) controller.observe(agent, picture);
    const Action action = controller.act();
    EXPECT_EQ(action.status, ActionStatus::decided) << controller.error();
    return std::vector<double>(action.values.begin(), action.values.end());
  };
  at::Tensor changing = dark.clone();
  const auto with_changing = [&] {
    controller.reset(1);
    controller.observe(agent, changing);
    changing.fill_(200);  // the camera's next picture in the same memory
    controller.observe(agent, changing);
    const Action action = controller.act();
    return std::vector<double>(action.values.begin(), action.values.end());
  };
  EXPECT_EQ(first({dark}), first({dark, dark}));
  EXPECT_NE(first({dark, bright}), first({bright, dark}));
  EXPECT_EQ(with_changing(), first({dark, bright}));

  const auto status = [&](const at::Tensor& picture) {
    controller.observe(agent, picture);
    return controller.act().status;
  };
  controller.observe(agent);
  EXPECT_EQ(controller.act().status, ActionStatus::bad_observation);
  EXPECT_EQ(status(dark.narrow(1, 0, 15)), ActionStatus::bad_observation);
  EXPECT_EQ(status(dark.to(at::kFloat)), ActionStatus::bad_observation);
  EXPECT_EQ(status(dark), ActionStatus::decided);
}

TEST(PicturePolicy, RefusesEnvironmentsThatShowOtherPictures) {
  EXPECT_THROW(roll_out(untrained(2 * side), {.environment = "pusht"}), Error);
}

// The description of the pictures travels in the model file, and is checked there.
TEST(PicturePolicy, ModelFilesDescribeThePictures) {
  test::Folder folder;
  const fs::path file = folder.path() / "m.safetensors";
  const auto policy = untrained(side);
  flow::save_model(file, *policy->flow, {});
  EXPECT_EQ(flow::read_description(file).items, policy->flow->items());
  std::string bytes = io::read_text(file);
  const std::string from = "\\\"height\\\":16";
  const std::size_t place = bytes.find(from);
  ASSERT_NE(place, std::string::npos);
  bytes.replace(place, from.size(), "\\\"height\\\": 0");
  io::write_file_atomically(file, bytes);
  EXPECT_THROW(flow::read_description(file), Error);
}

}  // namespace
}  // namespace calor::policy
