#include "calor/data/class_folders.h"

#include "tests/data/support.h"

namespace calor::data {
namespace {

using Names = std::vector<std::string>;
using Labels = std::vector<std::int64_t>;

TEST(ClassFolders, AreSortedAndNumbered) {
  const ClassLabels found = labels_from_folders({"dog/1.png", "Cat/2.png", "dog/x/3.png"}, "here");
  EXPECT_EQ(found.class_names, (Names{"Cat", "dog"}));
  EXPECT_EQ(found.labels, (Labels{1, 0, 1}));
}

TEST(ClassFolders, SharedFoldersAreNoClasses) {
  const ClassLabels found =
      labels_from_folders({"set/train/a/1.png", "set/train/ab/1.png"}, "here");
  EXPECT_EQ(found.class_names, (Names{"a", "ab"}));
  EXPECT_EQ(found.labels, (Labels{0, 1}));
  for (const Names& files :
       {Names{"1.png", "2.png"}, Names{"all/1.png", "all/2.png"}, Names{"a/1.png"}}) {
    EXPECT_TRUE(labels_from_folders(files, "here").class_names.empty());
    EXPECT_EQ(labels_from_folders(files, "here").labels, Labels(files.size(), 0));
  }
}

TEST(ClassFolders, RefuseAMixture) {
  const std::string error = testing::error_of([] {
    labels_from_folders({"a/1.png", "b/1.png", "stray.png"}, "/pictures");
  });
  EXPECT_TRUE(testing::has(error, "/pictures: stray.png"));
  EXPECT_TRUE(testing::has(error, "data.labels=false"));
}

}  // namespace
}  // namespace calor::data
