#include "calor/data/image_folder.h"

#include "calor/data/loader.h"
#include "tests/data/support.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

using testing::error_of;
using testing::get;
using testing::has;
using testing::noise;
using testing::put;
using testing::put_png;
using testing::TemporaryFolder;

std::shared_ptr<ImageDataset> open(const fs::path& folder, const PictureTransform& transform = {},
                                   bool labels = true) {
  return make_image_folder(folder, transform, labels);
}

TEST(ImageFolder, HoldsItsPicturesInOrderWithLabels) {
  const TemporaryFolder folder;
  std::vector<at::Tensor> pictures;
  for (std::uint64_t i = 0; i < 6; ++i) pictures.push_back(noise({3, 8, 10}, i));
  put_png(folder / "dog/b.png", pictures[4]);
  put_png(folder / "cat/2.png", pictures[1]);
  put_png(folder / "cat/1.PNG", pictures[0]);
  put_png(folder / "dog/a.png", pictures[3]);
  put_png(folder / "cat/deep/3.png", pictures[2]);
  put(folder / "cat/readme.txt", "no picture");
  put(folder / "cat/._1.png", "hidden");
  for (const std::string& path : {folder.path().string(), folder.path().string() + "/"}) {
    const auto set = open(path);
    EXPECT_EQ(set->spec(), (ItemSpec{3, 8, 10, {"cat", "dog"}}));
    ASSERT_EQ(set->size(), 5);
    for (const std::int64_t i : {0, 1, 2, 3, 4}) {
      EXPECT_TRUE(at::equal(set->picture(i), pictures[static_cast<std::size_t>(i)])) << i;
      EXPECT_EQ(set->label(i), i / 3);
    }
    EXPECT_EQ(set->fingerprint(), open(folder.path())->fingerprint());
  }
  EXPECT_EQ(open(folder.path(), {}, false)->spec().classes(), 0);
}

TEST(ImageFolder, FingerprintTellsFilesAndTransform) {
  const TemporaryFolder folder;
  put_png(folder / "a.png", noise({3, 8, 8}));
  const std::string before = open(folder.path())->fingerprint();
  EXPECT_NE(before, open(folder.path(), {.size = 4})->fingerprint());
  put_png(folder / "b.png", noise({3, 8, 8}));
  EXPECT_NE(before, open(folder.path())->fingerprint());
}

TEST(ImageFolder, MixedSizesNeedDataSize) {
  const TemporaryFolder folder;
  put_png(folder / "a.png", noise({3, 8, 10}));
  put_png(folder / "b.png", noise({3, 9, 7}));
  const std::string error = error_of([&] { open(folder.path()); });
  EXPECT_TRUE(has(error, "a.png is 10 x 8"));
  EXPECT_TRUE(has(error, "b.png is 7 x 9"));
  EXPECT_TRUE(has(error, "data.size"));
  const auto set = open(folder.path(), {.size = 6, .pad = 1});
  EXPECT_EQ(set->spec(), (ItemSpec{3, 8, 8, {}}));
  EXPECT_EQ(set->picture(1).sizes(), at::IntArrayRef({3, 8, 8}));
}

TEST(ImageFolder, GreyAmongColourBecomesColour) {
  const TemporaryFolder folder;
  const at::Tensor grey = noise({1, 8, 8});
  put_png(folder / "a.png", grey);
  put_png(folder / "b.png", noise({3, 8, 8}));
  const auto set = open(folder.path());
  EXPECT_EQ(set->spec().channels, 3);
  EXPECT_TRUE(at::equal(set->picture(0), grey.expand({3, 8, 8})));
  EXPECT_EQ(open(folder.path(), {.channels = 1})->picture(1).size(0), 1);
}

// More pictures than are probed at opening; the odd one is met later and named.
TEST(ImageFolder, NamesTheOneBrokenFile) {
  const TemporaryFolder folder;
  const at::Tensor picture = noise({1, 4, 4});
  put_png(folder / "000.png", picture);
  for (int i = 1; i < 200; ++i) {
    fs::copy_file(folder / "000.png", folder / fmt::format("{:03}.png", i));
  }
  const std::string good = get(folder / "000.png");
  put(folder / "100.png", good.substr(0, good.size() / 2));
  const auto set = open(folder.path());
  EXPECT_TRUE(has(error_of([&] { set->picture(100); }), "100.png"));
  EXPECT_TRUE(at::equal(set->picture(101), picture));
  Loader loader(set, {.batch = 200, .threads = 2});
  EXPECT_TRUE(has(error_of([&] { loader.next(); }), "100.png"));

  put_png(folder / "100.png", noise({1, 4, 5}));
  EXPECT_TRUE(has(error_of([&] { set->picture(100); }), "100.png is 5 x 4"));
  put_png(folder / "100.png", noise({3, 4, 4}));
  EXPECT_TRUE(has(error_of([&] { set->picture(100); }), "data.channels"));
  fs::remove(folder / "100.png");
  EXPECT_TRUE(has(error_of([&] { set->picture(100); }), "100.png"));
}

TEST(ImageFolder, RefusesAFolderWithoutPictures) {
  const TemporaryFolder folder;
  EXPECT_TRUE(has(error_of([&] { open(folder.path()); }), folder.path().string()));
  put(folder / "a.txt", "text");
  EXPECT_TRUE(has(error_of([&] { open(folder.path()); }), "has none"));
}

TEST(ImageFolder, SurvivesARingOfLinks) {
  const TemporaryFolder folder;
  put_png(folder / "a/1.png", noise({1, 4, 4}));
  fs::create_directory_symlink(folder.path(), folder / "a/ring");
  EXPECT_GE(open(folder.path(), {}, false)->size(), 1);
}

}  // namespace
}  // namespace calor::data
