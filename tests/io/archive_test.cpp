// Archives and gzip: members in order, and nothing that is damaged, cut short or a bomb.
#include "calor/io/archive.h"

#include <gtest/gtest.h>

#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

Members members_of(const fs::path& path, std::uint64_t max_member_bytes = 1 << 20) {
  Members members;
  for_each_member(
      path,
      [&](const std::string& name, std::span<const std::byte> bytes) {
        members.emplace_back(name, as_text(bytes));
      },
      max_member_bytes);
  return members;
}

Members example() {
  std::string noise;
  for (unsigned i = 0, x = 1; i < 70'000; ++i)
    noise.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  return {{"b.txt", "second in the alphabet"},
          {"a/noise.bin", noise},
          {"a/empty", ""},
          {"ä.txt", "beyond ASCII"}};
}

class Archives : public ::testing::TestWithParam<const char*> {};

TEST_P(Archives, GiveTheirMembersInOrder) {
  const TemporaryFolder folder;
  put_archive(folder / GetParam(), example());
  EXPECT_EQ(members_of(folder / GetParam()), example());
}

TEST_P(Archives, GiveTheStartsOfTheirMembers) {
  const TemporaryFolder folder;
  put_archive(folder / GetParam(), example());
  std::vector<std::uint64_t> sizes;
  Members starts;
  for_each_member_start(
      folder / GetParam(), 9,
      [&](const std::string& name, std::span<const std::byte> start, std::uint64_t size) {
        starts.emplace_back(name, as_text(start));
        sizes.push_back(size);
      });
  Members expected = example();
  for (auto& [name, contents] : expected) contents = contents.substr(0, 9);
  EXPECT_EQ(starts, expected);
  EXPECT_EQ(sizes, (std::vector<std::uint64_t>{22, 70'000, 0, 12}));
}

TEST_P(Archives, PassOverFolders) {
  const TemporaryFolder folder;
  put_archive(folder / GetParam(), {{"a/", ""}, {"a/b", "x"}});
  EXPECT_EQ(members_of(folder / GetParam()), (Members{{"a/b", "x"}}));
}

TEST_P(Archives, RefuseLargeMembers) {
  const TemporaryFolder folder;
  put_archive(folder / GetParam(), {{"a", std::string(1001, 'x')}});
  EXPECT_TRUE(has(error_of([&] { members_of(folder / GetParam(), 1000); }), "1000 bytes"));
  EXPECT_EQ(members_of(folder / GetParam(), 1001).size(), 1U);
}

TEST_P(Archives, CutShortAreRefusedOrLackOnlyPadding) {
  const TemporaryFolder folder;
  const Members all{{"a", "some text"}, {"b", std::string(600, 'x')}, {"c", ""}};
  put_archive(folder / GetParam(), all);
  const std::string name = std::string("cut-") + GetParam();
  for_each_truncation(folder / name, get(folder / GetParam()), [&](std::size_t length) {
    try {
      // A tar ends in blocks of zeros, of which only the first is needed.
      EXPECT_EQ(members_of(folder / name), all) << length;
      EXPECT_EQ(std::string(GetParam()), "x.tar") << length;
    } catch (const Error& error) {
      EXPECT_TRUE(has(error.found(), name));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Types, Archives,
                         ::testing::Values("x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.zip"));

TEST(Archive, AFlippedBitInGzipIsFound) {
  const TemporaryFolder folder;
  put_archive(folder / "x.tar.gz", example());
  std::string bytes = get(folder / "x.tar.gz");
  bytes[bytes.size() / 2] ^= 4;  // in the noise, which deflate stores as it is
  put(folder / "x.tar.gz", bytes);
  EXPECT_THROW(members_of(folder / "x.tar.gz"), Error);
}

TEST(Archive, HardLinksAndSparseBombsAreRefused) {
  const TemporaryFolder folder;
  struct archive* out = archive_write_new();
  archive_write_set_format_pax_restricted(out);
  archive_write_open_filename(out, (folder / "sparse.tar").c_str());
  struct archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "hole");
  archive_entry_set_size(entry, la_int64_t{1} << 40);
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_sparse_add_entry(entry, (la_int64_t{1} << 40) - 5, 5);
  archive_write_header(out, entry);
  archive_entry_free(entry);
  archive_write_free(out);
  EXPECT_TRUE(has(error_of([&] { members_of(folder / "sparse.tar"); }), "sparse.tar"));

  out = archive_write_new();
  archive_write_set_format_ustar(out);
  archive_write_open_filename(out, (folder / "link.tar").c_str());
  entry = archive_entry_new();
  archive_entry_set_pathname(entry, "link");
  archive_entry_set_hardlink(entry, "target");
  archive_write_header(out, entry);
  archive_entry_free(entry);
  archive_write_free(out);
  EXPECT_TRUE(has(error_of([&] { members_of(folder / "link.tar"); }), "hard link"));
}

TEST(Archive, OtherFilesAreRefused) {
  const TemporaryFolder folder;
  put(folder / "x.tar", "not an archive");
  EXPECT_TRUE(has(error_of([&] { members_of(folder / "x.tar"); }), "x.tar"));
  put(folder / "x.tar", "");
  EXPECT_THROW(members_of(folder / "x.tar"), Error);
  EXPECT_TRUE(has(error_of([&] { members_of(folder / "none.tar"); }), "none.tar"));
}

TEST(Archive, VisitorsMayThrow) {
  const TemporaryFolder folder;
  put_archive(folder / "x.tar.gz", example());
  EXPECT_THROW(for_each_member(folder / "x.tar.gz",
                               [](const std::string&, std::span<const std::byte>) {
                                 throw std::runtime_error("enough");
                               }),
               std::runtime_error);
}

TEST(Archive, Names) {
  for (const char* name : {"a.tar", "a.tar.gz", "A.TGZ", "a.tar.xz", "a.tar.zst", "b/a.zip"}) {
    EXPECT_TRUE(is_archive_name(name)) << name;
  }
  for (const char* name : {"a.gz", "tar", "a.tar/b", "zip", ""}) {
    EXPECT_FALSE(is_archive_name(name)) << name;
  }
}

std::string unpacked(const fs::path& path, std::uint64_t max_bytes = 1 << 20) {
  return std::string(as_text(read_maybe_gzip(path, max_bytes)));
}

TEST(Gzip, PlainPackedAndConcatenated) {
  const TemporaryFolder folder;
  put(folder / "plain", "hello");
  EXPECT_EQ(unpacked(folder / "plain"), "hello");
  const std::string text(200'000, 'x');
  put(folder / "packed.gz", gzip(text));
  EXPECT_EQ(unpacked(folder / "packed.gz"), text);
  put(folder / "packed", gzip("one ") + gzip("") + gzip("two"));
  EXPECT_EQ(unpacked(folder / "packed"), "one two");
  put(folder / "empty", gzip(""));
  EXPECT_EQ(unpacked(folder / "empty"), "");
}

TEST(Gzip, DamageAndBombsAreRefused) {
  const TemporaryFolder folder;
  const auto refused = [&](std::string_view bytes) {
    put(folder / "f.gz", bytes);
    return error_of([&] { unpacked(folder / "f.gz", 100'000); });
  };
  const std::string bytes = gzip("some text, some text, and more");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_TRUE(has(refused(bytes.substr(0, length)), "f.gz")) << length;
  }
  for (const std::size_t at : {bytes.size() - 8, bytes.size() - 1, bytes.size() / 2}) {
    std::string flipped = bytes;
    flipped[at] ^= 1;
    refused(flipped);
  }
  EXPECT_TRUE(has(refused(bytes + "trailing"), "f.gz"));
  EXPECT_TRUE(has(refused(gzip(std::string(100'001, '\0'))), "100000 bytes"));
  EXPECT_TRUE(has(refused("hello"), "not gzip"));
}

}  // namespace
}  // namespace calor::io
