// Endings of file names, and the readers that go by them.
#include "calor/io/ending.h"

#include <gtest/gtest.h>

#include "calor/data/table.h"
#include "calor/io/archive.h"
#include "calor/io/picture.h"

namespace calor::io {
namespace {

TEST(Ending, IsInSmallLetters) {
  EXPECT_EQ(ending_of("folder.A/B.PNG"), ".png");
  EXPECT_EQ(ending_of("b.Tar.GZ"), ".gz");
  EXPECT_EQ(ending_of("README"), "");
  EXPECT_EQ(name_in_small_letters("Folder/B.Tar.GZ"), "b.tar.gz");
}

TEST(Ending, NamesAreKnownWhateverTheirLetters) {
  EXPECT_TRUE(is_picture_name("a.PNG") && is_picture_name("a.Jpeg"));
  EXPECT_FALSE(is_picture_name("png"));
  EXPECT_TRUE(is_archive_name("a.TAR.Gz") && is_archive_name("a.ZIP"));
  EXPECT_FALSE(is_archive_name("a.gz"));
  EXPECT_TRUE(data::is_table_name("a.CSV") && data::is_table_name("a.Npy"));
  EXPECT_FALSE(data::is_table_name("a.png"));
}

}  // namespace
}  // namespace calor::io
