#include "calor/data/dequantise.h"

#include <cmath>

#include "calor/data/loader.h"
#include "calor/data/training_data.h"
#include "tests/data/support.h"

namespace calor::data {
namespace {

using testing::error_of;
using testing::has;
using testing::noise;

ItemSpec grey(bool dequantised) {
  ItemSpec spec{.channels = 1, .height = 5, .width = 4, .class_names = {}};
  spec.dequantised = dequantised;
  return spec;
}

std::shared_ptr<const Dataset> some_set(std::int64_t n) {
  return with_dequantised(make_tensor_dataset(grey(false), noise({n, 1, 5, 4}), {}));
}

std::vector<RandomKey> keys_of(std::int64_t n) {
  std::vector<RandomKey> keys;
  for (std::int64_t i = 0; i < n; ++i) {
    keys.push_back(random_key(3, RandomUse::test).child(static_cast<std::uint64_t>(i)));
  }
  return keys;
}

// Every level comes back from any point of its cell, and the cells fill [-1, 1].
TEST(Dequantise, EveryLevelComesBack) {
  const at::Tensor levels = at::arange(256).to(at::kByte).repeat({200, 1});
  for (const bool dequantised : {false, true}) {
    const LevelCells cells = level_cells(grey(dequantised));
    const at::Tensor x = dequantise(levels, keys_of(200), cells);
    EXPECT_TRUE(at::equal(to_bytes(x, grey(dequantised)), levels));
    EXPECT_NEAR(cells.scale * 0.5 + cells.shift, dequantised ? -1 + 1.0 / 256 : -1, 1e-15);
    EXPECT_NEAR(cells.scale * 255.5 + cells.shift, dequantised ? 1 - 1.0 / 256 : 1, 1e-15);
    if (!dequantised) continue;
    EXPECT_GE(x.min().item<float>(), -1.0F);
    EXPECT_LE(x.max().item<float>(), 1.0F);
  }
  const at::Tensor wild = at::tensor({-9.0F, 9.0F, std::nanf("")});
  EXPECT_TRUE(at::equal(to_bytes(wild, grey(true)), at::tensor({0, 255, 0}).to(at::kByte)));
}

// n = (x - shift) / scale - u is uniform: of 100,000 draws the moments E n^k = 1/(k + 1) are known
// to the deviations below, and the margins are four of these. Neighbours are not correlated.
TEST(Dequantise, NoiseIsUniform) {
  constexpr std::int64_t items = 500, numbers = 200;
  const at::Tensor levels = noise({items, numbers});
  const LevelCells cells = level_cells(grey(true));
  const at::Tensor n =
      (dequantise(levels, keys_of(items), cells).to(at::kDouble) - cells.shift) / cells.scale -
      levels;
  const double count = items * numbers;
  for (const int k : {1, 2, 4}) {
    const double variance = 1.0 / (2 * k + 1) - 1.0 / ((k + 1) * (k + 1));
    EXPECT_NEAR(n.pow(k).mean().item<double>(), 1.0 / (k + 1), 4 * std::sqrt(variance / count));
  }
  const at::Tensor centred = n - 0.5;
  const auto correlation = [&](const at::Tensor& a, const at::Tensor& b) {
    return 12 * (a * b).mean().item<double>();
  };
  const double margin = 4 / std::sqrt(count);
  EXPECT_NEAR(correlation(centred.narrow(1, 1, numbers - 1), centred.narrow(1, 0, numbers - 1)), 0,
              1.01 * margin);
  EXPECT_NEAR(correlation(centred.narrow(0, 1, items - 1), centred.narrow(0, 0, items - 1)), 0,
              1.01 * margin);
}

// What a batch holds is a function of (seed, step): any loader that begins at step 3 gives what
// one gives that began at 0. A picture met again has other noise.
TEST(Dequantise, IsAFunctionOfThePositionInTheRun) {
  const auto set = some_set(6);
  LoaderOptions options{.batch = 4, .seed = 5, .flip = true};
  Loader whole(set, options);
  std::vector<Batch> batches;
  for (int step = 0; step < 5; ++step) batches.push_back(whole.next());
  options.first_step = 3;
  options.threads = 3;
  Loader resumed(set, options);
  for (std::size_t step = 3; step < 5; ++step) {
    EXPECT_TRUE(at::equal(resumed.next().items, batches[step].items));
  }
  Batch first, again, other_seed;
  for (Batch* batch : {&first, &again, &other_seed}) batch->indices = {2, 2};
  set->fill(first, 10, 5, false);
  set->fill(again, 11, 5, false);
  set->fill(other_seed, 10, 6, false);
  EXPECT_TRUE(at::equal(first.items[1], again.items[0]));
  EXPECT_FALSE(at::equal(first.items[0], first.items[1]));
  EXPECT_FALSE(at::equal(first.items, other_seed.items));
  EXPECT_TRUE(
      at::equal(to_bytes(first.items[0], set->spec()), to_bytes(first.items[1], set->spec())));
}

TEST(Dequantise, TheSetSaysSo) {
  const auto plain = make_tensor_dataset(grey(false), noise({3, 1, 5, 4}), {});
  const auto set = with_dequantised(plain);
  EXPECT_EQ(set->spec(), grey(true));
  EXPECT_EQ(set->size(), 3);
  EXPECT_NE(set->fingerprint(), plain->fingerprint());
  const auto mirrored = with_mirrored(set);
  Batch batch;
  batch.indices = {1, 4};
  mirrored->fill(batch, 0, 0, false);
  const at::Tensor back = to_bytes(batch.items, mirrored->spec());
  EXPECT_TRUE(at::equal(back[0], plain->picture(1)));
  EXPECT_TRUE(at::equal(back[1], plain->picture(1).flip({-1})));
}

TEST(Dequantise, OptionOfTheTrainingData) {
  const testing::TemporaryFolder folder;
  io::write_npy(folder / "a.npy", noise({4, 6, 5}));
  DataOptions options;
  options.source = (folder / "a.npy").string();
  options.labels = false;
  EXPECT_FALSE(open_training_data(options).train->spec().dequantised);
  options.dequantise_pictures = true;
  const TrainingData data = open_training_data(options);
  EXPECT_TRUE(data.train->spec().dequantised);
  EXPECT_TRUE(has(data.description, "dequantised"));
  options.source = "rose";
  EXPECT_TRUE(has(error_of([&] { open_training_data(options); }), "points"));
}

TEST(Dequantise, RefusesWhatIsNoBytes) {
  const LevelCells cells = level_cells(grey(true));
  EXPECT_TRUE(has(error_of([&] { dequantise(at::zeros({2, 3}), keys_of(2), cells); }), "Float"));
  EXPECT_TRUE(has(error_of([&] { dequantise(noise({2, 3}), keys_of(3), cells); }), "3 items"));
  EXPECT_TRUE(has(error_of([&] { dequantise({}, keys_of(1), cells); }), "no tensor"));
}

}  // namespace
}  // namespace calor::data
