#include "calor/data/picture_archive.h"

#include "calor/data/image_folder.h"
#include "tests/data/support.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

using testing::error_of;
using testing::has;
using testing::noise;
using testing::png_of;
using testing::put;
using testing::put_archive;
using testing::TemporaryFolder;

TEST(PictureArchive, IsTheUnpackedFolder) {
  const TemporaryFolder folder;
  const io::testing::Members members{{"train/", ""},
                                     {"train/dog/2.png", png_of(noise({3, 8, 8}, 1))},
                                     {"train/cat/1.png", png_of(noise({1, 8, 8}, 2))},
                                     {"train/notes.txt", "text"},
                                     {"train/dog/1.png", png_of(noise({3, 8, 8}, 3))}};
  fs::create_directories(folder / "unpacked/train/dog");
  fs::create_directories(folder / "unpacked/train/cat");
  for (const auto& [name, contents] : members) {
    if (!name.ends_with('/')) put(folder / ("unpacked/" + name), contents);
  }
  const auto unpacked = make_image_folder(folder / "unpacked", {}, true);
  for (const std::string name : {"a.tar", "a.tar.gz", "a.tar.xz", "a.zip"}) {
    put_archive(folder / name, members);
    const auto set = make_picture_archive(folder / name, {}, true);
    EXPECT_EQ(set->spec(), unpacked->spec());
    EXPECT_EQ(set->spec().class_names, (std::vector<std::string>{"cat", "dog"}));
    ASSERT_EQ(set->size(), 3);
    for (std::int64_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(at::equal(set->picture(i), unpacked->picture(i)));
      EXPECT_EQ(set->label(i), unpacked->label(i));
    }
  }
  EXPECT_EQ(make_picture_archive(folder / "a.tar", {.size = 5}, false)->spec(),
            (ItemSpec{3, 5, 5, {}}));
}

TEST(PictureArchive, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  const auto error = [&](const io::testing::Members& members) {
    put_archive(folder / "a.tar", members);
    return error_of([&] { make_picture_archive(folder / "a.tar", {}, true); });
  };
  EXPECT_TRUE(has(error({{"a.txt", "text"}}), "a.tar has none"));
  const std::string good = png_of(noise({1, 8, 8}));
  EXPECT_TRUE(has(error({{"1.png", good}, {"2.png", good.substr(0, 50)}}), "2.png"));
  const std::string sizes = error({{"1.png", good}, {"2.png", png_of(noise({1, 8, 9}))}});
  EXPECT_TRUE(has(sizes, "1.png is 8 x 8"));
  EXPECT_TRUE(has(sizes, "2.png is 9 x 8"));
  put(folder / "b.tar.gz", "no archive");
  EXPECT_TRUE(
      has(error_of([&] { make_picture_archive(folder / "b.tar.gz", {}, true); }), "b.tar.gz"));
}

}  // namespace
}  // namespace calor::data
