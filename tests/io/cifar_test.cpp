// CIFAR-10 records.
#include "calor/io/cifar.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

std::string record(char label, char red) {
  return label + std::string(1024, red) + std::string(1024, '\x02') + std::string(1024, '\x03');
}

TEST(Cifar, RecordsAndLabels) {
  const TemporaryFolder folder;
  put(folder / "batch.bin", record('\x09', '\x01') + record('\0', '\xff'));
  const CifarRecords records = read_cifar10(folder / "batch.bin");
  EXPECT_EQ(shape_of(records.pictures), (std::vector<std::int64_t>{2, 3, 32, 32}));
  EXPECT_TRUE(at::equal(records.labels, at::tensor({9, 0}, at::kLong)));
  EXPECT_TRUE((records.pictures[0][0] == 1).all().item<bool>());
  EXPECT_TRUE((records.pictures[1][0] == 255).all().item<bool>());
  EXPECT_TRUE((records.pictures[1][2] == 3).all().item<bool>());
  put(folder / "batch.bin.gz", gzip(record('\x01', '\x01')));
  EXPECT_EQ(read_cifar10(folder / "batch.bin.gz").labels.item<std::int64_t>(), 1);
}

TEST(Cifar, BadFilesAreRefused) {
  const auto refused = [](const std::string& bytes) {
    return error_of([&] { parse_cifar10(as_bytes(bytes), "batch.bin"); });
  };
  const std::string good = record('\x01', '\x01');
  EXPECT_TRUE(has(refused(""), "0 bytes"));
  EXPECT_TRUE(has(refused(good.substr(0, good.size() - 1)), "3072 bytes"));
  EXPECT_TRUE(has(refused(good + "x"), "3074 bytes"));
  EXPECT_TRUE(has(refused(good + record('\x0a', '\0')), "label 10 of record 1"));
}

}  // namespace
}  // namespace calor::io
