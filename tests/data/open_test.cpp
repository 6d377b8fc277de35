#include "calor/data/open.h"

#include <algorithm>

#include "calor/core/error.h"
#include "tests/data/support.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_of;
using testing::has;
using testing::idx;
using testing::noise;
using testing::png_of;
using testing::put;
using testing::put_archive;
using testing::put_png;
using testing::TemporaryFolder;
using testing::WithVariable;

const KnownDataset& known(const std::string& name) {
  const auto& all = known_datasets();
  return *std::ranges::find(all, name, &KnownDataset::name);
}

void put_mnist(const fs::path& folder, const at::Tensor& pictures) {
  fs::create_directories(folder);
  const auto n = static_cast<std::uint32_t>(pictures.size(0));
  put(folder / "train-images-idx3-ubyte", idx({n, 28, 28}, bytes_of(pictures)));
  put(folder / "train-labels-idx1-ubyte", idx({n}, std::string(n, '\3')));
}

TEST(OpenDataset, RecognisesEveryKind) {
  const TemporaryFolder folder;
  const at::Tensor picture = noise({3, 32, 32});
  put_png(folder / "pictures/a.png", picture);
  put_archive(folder / "pictures.zip", {{"a.png", png_of(picture)}});
  io::write_npy(folder / "a.npy", picture.unsqueeze(0));
  testing::put_npz(folder / "a.npz", {{"x", picture.unsqueeze(0)}});
  fs::create_directories(folder / "cifar");
  put(folder / "cifar/data_batch_1.bin", "\1" + bytes_of(picture));
  for (const char* name :
       {"pictures", "pictures.zip", "a.npy", "a.npz", "cifar", "cifar/data_batch_1.bin"}) {
    const auto set = open_dataset({.source = (folder / name).string(), .labels = false});
    EXPECT_EQ(set->spec(), (ItemSpec{3, 32, 32, {}})) << name;
    EXPECT_TRUE(at::equal(set->picture(0), picture)) << name;
    const auto small = open_dataset(
        {.source = (folder / name).string(), .size = 12, .channels = 1, .pad = 2, .labels = false});
    EXPECT_EQ(small->spec(), (ItemSpec{1, 16, 16, {}})) << name;
  }
}

TEST(OpenDataset, RefusesWhatItDoesNotKnow) {
  const TemporaryFolder folder;
  put(folder / "a.xyz", "?");
  put_png(folder / "one.png", noise({1, 4, 4}));
  const auto error = [](const std::string& source) {
    return error_of([&] { open_dataset({.source = source}); });
  };
  EXPECT_TRUE(has(error("mnits"), "did you mean mnist?"));
  EXPECT_TRUE(has(error("/nowhere/at/all"), "known names: glyphs, mnist"));
  EXPECT_TRUE(has(error((folder / "a.xyz").string()), "a.xyz"));
  EXPECT_TRUE(has(error((folder / "one.png").string()), "name its folder"));
  EXPECT_TRUE(has(error(folder.path().string() + "/gone"), "neither"));
  EXPECT_TRUE(has(error_of([] { open_dataset({.channels = 2}); }), "data.channels = 2"));
  EXPECT_TRUE(has(error_of([] { open_dataset({.size = -1}); }), "data.size = -1"));
  EXPECT_TRUE(has(error_of([] { open_dataset({.pad = 5000}); }), "data.pad = 5000"));
}

TEST(KnownDatasets, AreFoundInTheirPlacesInTurn) {
  const TemporaryFolder own;
  const TemporaryFolder cache;
  const WithVariable data("CALOR_DATA", own.path().string());
  const WithVariable home("XDG_CACHE_HOME", cache.path().string());
  const std::vector<fs::path> folders = data_folders();
  ASSERT_EQ(folders.size(), 3U);
  EXPECT_EQ(folders.front(), own.path());
  EXPECT_EQ(folders.back(), cache / "calor");

  const at::Tensor pictures = noise({2, 28, 28});
  put_mnist(own / "mnist", pictures);
  EXPECT_EQ(find_known(known("mnist")), own / "mnist/train-images-idx3-ubyte");
  const auto set = open_dataset({.source = "mnist", .pad = 2});
  EXPECT_EQ(set->spec(), (ItemSpec{1, 32, 32, known("mnist").class_names}));
  EXPECT_EQ(set->spec().classes(), 10);
  EXPECT_EQ(set->label(1), 3);

  // An incomplete set is passed over: the next place may have it.
  fs::remove(own / "mnist/train-labels-idx1-ubyte");
  put_mnist(cache / "calor/mnist", pictures);
  EXPECT_NE(find_known(known("mnist")), own / "mnist/train-images-idx3-ubyte");
  EXPECT_FALSE(find_known(known("mnist")).empty());
  EXPECT_TRUE(find_known(known("glyphs")).empty());
}

TEST(KnownDatasets, MissingOnesNameThePlacesAndTheSource) {
  const TemporaryFolder empty;
  const fs::path before = fs::current_path();
  fs::create_directories(empty / "work");
  fs::current_path(empty / "work");
  const WithVariable data("CALOR_DATA", (empty / "own").string());
  const WithVariable home("XDG_CACHE_HOME", (empty / "cache").string());
  for (const KnownDataset& set : known_datasets()) {
    EXPECT_FALSE(set.description.empty());
    if (set.files.empty()) continue;
    const std::string error = error_of([&] { open_dataset({.source = set.name}); });
    EXPECT_TRUE(has(error, set.how_to_get));
    for (const fs::path& folder : data_folders()) EXPECT_TRUE(has(error, folder.string()));
  }
  fs::current_path(before);
}

TEST(KnownDatasets, CacheFollowsTheEnvironment) {
  const WithVariable data("CALOR_DATA", std::nullopt);
  const WithVariable relative("XDG_CACHE_HOME", "not/absolute");
  {
    const WithVariable home("HOME", "/home/someone");
    EXPECT_EQ(data_folders().back(), "/home/someone/.cache/calor");
  }
  const WithVariable homeless("HOME", std::nullopt);
  EXPECT_EQ(data_folders(), (std::vector<fs::path>{"../shared/data"}));
}

TEST(DataOptions, AreDeclaredWithTheirRanges) {
  DataOptions data;
  config::Options options;
  data.declare(options);
  options.assign("data.source=cifar10", "test");
  options.assign("data.size=64", "test");
  options.assign("data.flip=true", "test");
  EXPECT_EQ(data.source, "cifar10");
  EXPECT_EQ(data.size, 64);
  EXPECT_TRUE(data.flip);
  EXPECT_THROW(options.assign("data.size=-1", "test"), Error);
  EXPECT_THROW(options.assign("data.channels=4", "test"), Error);
  EXPECT_THROW(options.assign("data.pda=2", "test"), Error);
}

struct Real {
  const char* name;
  std::int64_t size;
  ItemSpec shape;  // without class names
  std::int64_t classes;
  std::int64_t first_label;
};

void PrintTo(const Real& real, std::ostream* out) { *out << real.name; }

class RealData : public ::testing::TestWithParam<Real> {};

TEST_P(RealData, OpensWhole) {
  const Real& real = GetParam();
  if (find_known(known(real.name)).empty()) {
    GTEST_SKIP() << real.name << " is in none of the data folders: " << known(real.name).how_to_get;
  }
  const auto set = open_dataset({.source = real.name});
  ItemSpec shape = set->spec();
  EXPECT_EQ(shape.classes(), real.classes);
  EXPECT_EQ(set->size(), real.size);
  shape.class_names.clear();
  EXPECT_EQ(shape, real.shape);
  EXPECT_EQ(set->label(0), real.first_label);
  std::vector<std::int64_t> count(static_cast<std::size_t>(real.classes));
  for (std::int64_t i = 0; i < set->size(); ++i) ++count[static_cast<std::size_t>(set->label(i))];
  EXPECT_GT(*std::ranges::min_element(count), real.size / real.classes / 2);
  const auto mean = set->picture(set->size() / 2).to(at::kFloat).mean().item<float>();
  EXPECT_GT(mean, 5.0F);
  EXPECT_LT(mean, 250.0F);
}

INSTANTIATE_TEST_SUITE_P(Slow, RealData,
                         ::testing::Values(Real{"mnist", 60'000, {1, 28, 28, {}}, 10, 5},
                                           Real{"mnist-test", 10'000, {1, 28, 28, {}}, 10, 7},
                                           Real{"fashion-mnist", 60'000, {1, 28, 28, {}}, 10, 9},
                                           Real{"cifar10", 50'000, {3, 32, 32, {}}, 10, 6},
                                           Real{"cifar10-jpeg", 50'000, {3, 32, 32, {}}, 10, 0},
                                           Real{"cifar10-subset", 7'044, {3, 32, 32, {}}, 10, 6}),
                         [](const auto& real) {
                           std::string name = real.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace calor::data
