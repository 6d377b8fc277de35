// IDX, plain and gzip.
#include "calor/io/idx.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

TEST(Idx, PlainAndGzip) {
  const TemporaryFolder folder;
  const std::string bytes = idx({2, 1, 3}, "\x01\x02\x03\x04\x05\xff");
  put(folder / "plain", bytes);
  put(folder / "packed.gz", gzip(bytes));
  const at::Tensor expected = at::tensor({1, 2, 3, 4, 5, 255}).reshape({2, 1, 3}).to(at::kByte);
  EXPECT_TRUE(at::equal(read_idx(folder / "plain"), expected));
  EXPECT_TRUE(at::equal(read_idx(folder / "packed.gz"), expected));
  EXPECT_EQ(shape_of(parse_idx(as_bytes(idx({0}, "")), "x")), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(parse_idx(as_bytes(idx({1, 1, 1, 1}, "x")), "x").dim(), 4);
}

TEST(Idx, BadFilesAreRefused) {
  const auto refused = [](const std::string& bytes) {
    const std::string error = error_of([&] { parse_idx(as_bytes(bytes), "train-images"); });
    EXPECT_TRUE(has(error, "train-images"));
    return error;
  };
  const std::string bytes = idx({2, 3}, "abcdef");
  for (std::size_t length = 0; length < bytes.size(); ++length) refused(bytes.substr(0, length));
  EXPECT_TRUE(has(refused(bytes + "g"), "7 bytes"));
  EXPECT_TRUE(has(refused(idx({}, "")), "0 dimensions"));
  EXPECT_TRUE(has(refused(idx({1, 1, 1, 1, 1}, "a")), "5 dimensions"));
  std::string floats = bytes;
  floats[2] = '\x0d';
  EXPECT_TRUE(has(refused(floats), "unsigned bytes"));
  EXPECT_TRUE(has(refused(idx({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, "")), "shape"));
}

}  // namespace
}  // namespace calor::io
