// Atomic files: replaced whole or not at all, whatever dies, and whenever.
#include "calor/io/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <set>
#include <thread>

#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, WritesReplacesAndReads) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", std::string_view("one"));
  write_file_atomically(folder / "a", std::string_view("two, longer"));
  EXPECT_EQ(read_text(folder / "a"), "two, longer");
  write_file_atomically(folder / "a", std::string_view());
  EXPECT_TRUE(read_file(folder / "a").empty());
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, TakesContentsInPieces) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", [](const ByteSink& sink) {
    for (const std::string_view piece : {"one ", "", "two"}) sink(as_bytes(piece));
  });
  EXPECT_EQ(get(folder / "a"), "one two");
}

TEST(AtomicFile, AProducerThatFailsLeavesTheOldFile) {
  const TemporaryFolder folder;
  put(folder / "a", "old");
  EXPECT_THROW(write_file_atomically(folder / "a",
                                     [](const ByteSink& sink) {
                                       sink(as_bytes("new"));
                                       throw std::runtime_error("stop");
                                     }),
               std::runtime_error);
  EXPECT_EQ(get(folder / "a"), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, KeepsPermissions) {
  const TemporaryFolder folder;
  put(folder / "a", "old");
  fs::permissions(folder / "a", fs::perms::owner_read | fs::perms::owner_write);
  write_file_atomically(folder / "a", std::string_view("new"));
  EXPECT_EQ(fs::status(folder / "a").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST(AtomicFile, FollowsASymbolicLink) {
  const TemporaryFolder folder;
  put(folder / "real", "old");
  fs::create_symlink("real", folder / "link");
  write_file_atomically(folder / "link", std::string_view("new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(get(folder / "real"), "new");
}

TEST(AtomicFile, AcceptsTheLongestName) {
  const TemporaryFolder folder;
  const std::string name(255, 'n');
  write_file_atomically(folder / name, std::string_view("x"));
  EXPECT_EQ(get(folder / name), "x");
}

TEST(AtomicFile, RefusesWhatItCannotReplace) {
  const TemporaryFolder folder;
  const auto error_at = [](const fs::path& path) {
    return error_of([&] { write_file_atomically(path, std::string_view("x")); });
  };
  EXPECT_TRUE(has(error_at(folder.path()), "a folder"));
  EXPECT_TRUE(has(error_at("/dev/null"), "not a regular file"));
  EXPECT_TRUE(has(error_at(folder / ""), "slash"));
  EXPECT_TRUE(has(error_at(folder / "none" / "a"), "No such file"));
}

TEST(AtomicFile, ThreadsWriteTheSameFileWhole) {
  const TemporaryFolder folder;
  {
    std::vector<std::jthread> threads;
    for (char c = 'a'; c < 'e'; ++c) {
      threads.emplace_back([&folder, c] {
        for (int i = 0; i < 20; ++i) {
          write_file_atomically(folder / "f", std::string_view(std::string(10'000, c)));
        }
      });
    }
  }
  const std::string contents = get(folder / "f");
  EXPECT_EQ(contents, std::string(10'000, contents.at(0)));
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(CrashSafety, AFileIsOldOrNewAfterEveryDeath) {
  const TemporaryFolder folder;
  const std::string old_contents(70'000, 'o');
  const std::string new_contents(90'000, 'n');
  std::set<std::string> seen;
  put(folder / "f", old_contents);
  const int deaths = die_at_every_change(
      [&] {
        write_file_atomically(folder / "f", [&](const ByteSink& sink) {
          sink(as_bytes(new_contents).first(50'000));
          sink(as_bytes(new_contents).subspan(50'000));
        });
      },
      [&] {
        const std::string now = get(folder / "f");
        EXPECT_TRUE(now == old_contents || now == new_contents);
        seen.insert(now);
        put(folder / "f", old_contents);
      });
  EXPECT_EQ(deaths, 6);  // open, write, write, fsync, rename, fsync of the folder
  EXPECT_EQ(seen.size(), 2U);
}

TEST(CrashSafety, AFirstWriteIsThereOrNot) {
  const TemporaryFolder folder;
  die_at_every_change([&] { write_file_atomically(folder / "f", std::string_view("all")); },
                      [&] {
                        EXPECT_EQ(get(folder / "f"), fs::exists(folder / "f") ? "all" : "");
                        fs::remove(folder / "f");
                      });
}

TEST(CrashSafety, LeftoversBreakNothingAndCanBeRemoved) {
  const TemporaryFolder folder;
  put(folder / ".mine.tmp-notes", "a person's file");
  die_at_every_change([&] { write_file_atomically(folder / "f", std::string_view("new")); }, [] {});
  EXPECT_GT(files_in(folder.path()), 2U);
  // A leftover under every name that the next writes of this process could choose first.
  for (int i = 0; i < 400; ++i) {
    put(folder / (".f.tmp-" + std::to_string(::getpid()) + "-" + std::to_string(i)), "left over");
  }
  write_file_atomically(folder / "f", std::string_view("newer"));
  EXPECT_EQ(get(folder / "f"), "newer");
  EXPECT_GE(remove_leftovers(folder.path()), 400U);
  EXPECT_EQ(files_in(folder.path()), 2U);
  EXPECT_EQ(remove_leftovers(folder.path()), 0U);
}

TEST(CrashSafety, AFolderIsThereWholeOrNot) {
  const TemporaryFolder folder;
  const auto prepare = [&] {
    fs::remove_all(folder / "final");
    fs::create_directories(folder / "temporary");
    put(folder / "temporary" / "a", "whole");
  };
  prepare();
  die_at_every_change([&] { commit_folder(folder / "temporary", folder / "final"); },
                      [&] {
                        const bool done = fs::exists(folder / "final");
                        EXPECT_NE(done, fs::exists(folder / "temporary"));
                        EXPECT_EQ(get(folder / (done ? "final" : "temporary") / "a"), "whole");
                        prepare();
                      });
}

TEST(DiskFull, AnErrorNamesTheFileAndTheOldOneStays) {
  const TemporaryFolder folder;
  put(folder / "f", "old");
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(2);
    try {
      write_file_atomically(folder / "f", std::string_view(std::string(200'000, 'n')));
    } catch (const Error& error) {
      const bool clear = error.found().find((folder / "f").string()) != std::string::npos &&
                         error.found().find("File too large") != std::string::npos;
      ::_exit(clear ? 42 : 3);
    }
  });
  EXPECT_EQ(status, 42);
  EXPECT_EQ(get(folder / "f"), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(DiskFull, AppendingSaysSo) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const std::string error = error_of([] { append_line("/dev/full", "x"); });
  EXPECT_TRUE(has(error, "/dev/full: No space left on device"));
  EXPECT_TRUE(has(error, "free some space"));
}

TEST(AppendLine, AddsLinesAndStartsAfreshAfterATornOne) {
  const TemporaryFolder folder;
  append_line(folder / "log", "one");
  append_line(folder / "log", "two");
  EXPECT_EQ(get(folder / "log"), "one\ntwo\n");
  put(folder / "log", "one\ntor");
  append_line(folder / "log", "two");
  EXPECT_EQ(get(folder / "log"), "one\ntor\ntwo\n");
}

TEST(Folders, AreMadeWithTheirParents) {
  const TemporaryFolder folder;
  make_folder(folder / "a/b/c/");
  make_folder(folder / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  put(folder / "file", "x");
  EXPECT_TRUE(has(error_of([&] { make_folder(folder / "file/b"); }), "file"));
  EXPECT_TRUE(has(error_of([&] { make_folder(folder / "file"); }), "File exists"));
}

TEST(Folders, CommitReplacesNothing) {
  const TemporaryFolder folder;
  make_folder(folder / "new");
  make_folder(folder / "taken");
  EXPECT_TRUE(
      has(error_of([&] { commit_folder(folder / "new", folder / "taken"); }), "File exists"));
  EXPECT_TRUE(fs::exists(folder / "new"));
  commit_folder(folder / "new", folder / "free");
  EXPECT_TRUE(fs::exists(folder / "free"));
  EXPECT_TRUE(has(error_of([&] { commit_folder(folder / "none", folder / "x"); }), "none"));
}

TEST(ReadFile, RefusesAllButRegularFilesOfFairSize) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  put(folder / "big", "12345");
  const auto error_at = [&](const fs::path& path) { return error_of([&] { read_file(path, 4); }); };
  EXPECT_TRUE(has(error_at(folder / "pipe"), "not a regular file"));
  EXPECT_TRUE(has(error_at(folder.path()), "a folder"));
  EXPECT_TRUE(has(error_at(folder / "none"), "No such file"));
  EXPECT_TRUE(has(error_at(folder / "big"), "5 bytes"));
  EXPECT_EQ(read_file(folder / "big", 5).size(), 5U);
}

TEST(Checksum, FindsAFlippedBit) {
  const TemporaryFolder folder;
  // The value that xxHash documents for no input.
  EXPECT_EQ(checksum({}), "99aa06d3014798d86001c324468d497f");
  std::string contents(3'000'000, 'x');
  put(folder / "f", contents);
  const std::string sum = checksum(as_bytes(contents));
  EXPECT_EQ(checksum_of_file(folder / "f"), sum);
  contents[2'000'000] ^= 1;
  EXPECT_NE(checksum(as_bytes(contents)), sum);
  EXPECT_TRUE(has(error_of([&] { checksum_of_file(folder / "none"); }), "none"));
}

}  // namespace
}  // namespace calor::io
